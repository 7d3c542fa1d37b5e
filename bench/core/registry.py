"""A registry of specs by name and alias, which suggests names for a misspelt one. It imports nothing heavy."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from bench.core.errors import BenchError

LONGEST = 80  # characters of a misspelt name in a message


class Named(Protocol):
    """An entry of a registry: anything with a name and aliases."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


Spec = TypeVar("Spec", bound=Named)


class Registry(Generic[Spec]):
    """Specs by name, in the order in which they were added.

    Args:
        kind: the kind of spec, for messages ("architecture", "data set").
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._specs: dict[str, Spec] = {}
        self._aliases: dict[str, str] = {}

    def add(self, spec: Spec) -> None:
        """Register a spec; a name or alias that is taken raises BenchError."""
        for name in (spec.name, *spec.aliases):
            if name in self._specs or name in self._aliases:
                raise BenchError(f"The {self.kind} name '{name}' is taken. Give yours another name.")
        self._specs[spec.name] = spec
        self._aliases.update(dict.fromkeys(spec.aliases, spec.name))

    def add_all(self, specs: Iterable[Spec]) -> None:
        """Register several specs."""
        for spec in specs:
            self.add(spec)

    def get(self, name: str) -> Spec:
        """Find the spec by name or alias; an unknown name raises BenchError with near misses."""
        name = self._aliases.get(name, name)
        if name not in self._specs:
            raise BenchError(unknown_name_message(self.kind, name, [*self._specs, *self._aliases], self.names()))
        return self._specs[name]

    def names(self) -> list[str]:
        """List all names, without aliases."""
        return list(self._specs)

    def __contains__(self, name: object) -> bool:
        return name in self._specs or name in self._aliases

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._specs.values())


def unknown_name_message(kind: str, given: str, candidates: list[str], available: list[str]) -> str:
    """Write the message for a misspelt name: similar names, and all names that exist."""
    given = given if len(given) <= LONGEST else f"{given[: LONGEST - 1]}…"
    plain = {name.lower(): name for name in candidates}  # of names that differ in case alone, the last
    near = [plain[name] for name in difflib.get_close_matches(given.lower(), plain, n=3, cutoff=0.6)]
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return f"Unknown {kind} '{given}'.{hint} Available: {', '.join(available) or 'none'}."
