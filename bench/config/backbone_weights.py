"""Choose and check the initial weights of a trial's backbone, of which --weights may be a table."""

import os
from collections.abc import Collection
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.registry import Registry, unknown_name_message
from bench.core.specs import BackboneSpec
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import odd_kind


def resolve_weights(given: str, backbone: str | None) -> str:
    """Return "none", "imagenet" or the absolute path of a file that exists; "none" for models without a backbone."""
    if given not in ("none", "imagenet") and (kind := odd_kind(os.path.realpath(os.path.expanduser(given)))):
        raise BenchError(f"The weights file '{shown(given)}' is {kind}. Accepted: none, imagenet or a file's path.")
    if given not in ("none", "imagenet") and not os.path.isfile(os.path.expanduser(given)):  # False for any text
        raise BenchError(f"There is no weights file '{shown(given)}'. Accepted: none, imagenet or the path of a file.")
    if given == "none" or backbone is None:
        return "none"
    return given if given == "imagenet" else str(Path(given).expanduser().resolve())


def weights_for(
    given: str, pair: str, backbone: str | None, backbones: Registry[BackboneSpec], names: Collection[str]
) -> str:
    """Return the entry of a backbone where `given` is a table, and otherwise `given`.

    Args:
        pair: the architecture and its backbone, for messages.
        names: every backbone of an architecture, those of plug-ins included.

    Raises:
        BenchError: the table names an unknown backbone, or one of them twice; or it has no entry for this one.
    """
    if not (table := _table_of(given)):
        return given
    entries: dict[str, str] = {}
    for name, weights in table.items():
        own = backbones.get(name).name if name in backbones else name
        if own not in backbones and own not in names:
            available = list(dict.fromkeys([*backbones.names(), *sorted(names)]))
            raise BenchError(
                f"{unknown_name_message('backbone in --weights', name, available, available)} "
                f"For a file of that name write ./{shown(name)}=…."
            )
        if own in entries:
            raise BenchError(f"--weights names the backbone {own} twice, as '{name}' too. Give it one entry.")
        entries[own] = weights
    if backbone is not None and backbone not in entries:
        raise BenchError(
            f"--weights has no entry for the backbone {backbone} of {pair}. It has: {', '.join(entries)}. "
            f"Add {backbone}=PATH, {backbone}=imagenet or {backbone}=none. A value without a name, such as none, is a "
            "further row of every backbone, not the rest of the table."
        )
    return entries[backbone] if backbone is not None else "none"


def _table_of(text: str) -> dict[str, str]:
    """Return the table that a text is; empty if it is none."""
    try:
        found = safe_json.loads(text) if text.startswith("{") else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
