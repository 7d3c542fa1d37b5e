"""The software that a trial ran on: its backend and Keras, by the numbers that a release with other results raises.

A patch release (0.10.1 after 0.10.0) is the same software. The configuration's key says nothing of software: a trial
that is done stays done after an upgrade, but its results are neither pooled nor ranked with those of another version.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from bench.core.backends import TABLE
from bench.core.specs import TrialRecord
from bench.core.trial_config import DEFAULTS
from bench.profiling.environment import versions
from bench.results.clean_text import clean, shorten

NOT_RECORDED = "versions not recorded"
_BETWEEN = " \N{MIDDLE DOT} "


def software(backend: str, found: Any) -> str:
    """Write the versions of a backend and of Keras: `JAX 0.10 · Keras 3.15`.

    Args:
        found: the recorded versions by package; anything else counts as none.
    """
    known = found if isinstance(found, Mapping) else {}
    if not any(known.get(name) for name in (backend, "keras")):
        return NOT_RECORDED
    title = TABLE[backend].title if backend in TABLE else clean(backend)
    return _BETWEEN.join((f"{title} {_minor(known.get(backend))}", f"Keras {_minor(known.get('keras'))}"))


def software_of(record: TrialRecord) -> str:
    """Write the versions that a trial ran on, as its record has them."""
    environment = record.environment if isinstance(record.environment, Mapping) else {}
    return software(str(record.config.get("backend", DEFAULTS.backend)), environment.get("versions"))


@cache
def software_now(backend: str) -> str:
    """Write the versions that a trial would run on now."""
    return software(backend, versions())


def is_stale(record: TrialRecord) -> bool:
    """Tell whether a trial ran on other versions than it would run on now, or on unknown ones."""
    return software_of(record) != software_now(str(record.config.get("backend", DEFAULTS.backend)))


def _minor(version: Any) -> str:
    """Return the first two numbers of a version: `0.10` of `0.10.1.dev3`."""
    text = clean(version)
    found = re.match(r"\d{1,6}\.\d{1,6}", text)
    return found[0] if found else shorten(text, 20) or "?"


def tables(found: Collection[str]) -> dict[str, tuple[int, str]]:
    """Divide software into tables in which results may be ranked: each has one version of Keras and one of a backend.

    The newest versions of all backends under the newest Keras share the first table, the next ones the second.

    Returns:
        For each software the number of its table and the name of the table, which is empty if there is only one.
    """
    divided: dict[tuple[str, int], list[str]] = defaultdict(list)
    for text in sorted(set(found), key=lambda text: (_age(text), text)):
        backend, keras = _parts(text)
        before = [other for (its, _), some in divided.items() if its == keras for other in some]
        place = sum(_name(_parts(other)[0]) == _name(backend) for other in before)
        divided[keras, place].append(text)
    named = [(_joined(some) if len(divided) > 1 else "", some) for some in divided.values()]
    return {text: (number, name) for number, (name, some) in enumerate(named) for text in some}


def _joined(some: Collection[str]) -> str:
    keras = _parts(next(iter(some)))[1]
    backends = ", ".join(sorted(_parts(text)[0] for text in some))
    return _BETWEEN.join(filter(None, (backends, keras)))


def _parts(text: str) -> tuple[str, str]:
    """Return the backend with its version, and Keras with its own."""
    backend, _, keras = text.partition(_BETWEEN)
    return backend, keras


def _name(part: str) -> str:
    return part.rpartition(" ")[0]


def _age(text: str) -> tuple[tuple[int, ...], ...]:
    """Return the key that sorts software from the newest to the oldest."""
    return tuple(tuple(-int(number) for number in re.findall(r"\d+", part)) or (1,) for part in _parts(text)[::-1])
