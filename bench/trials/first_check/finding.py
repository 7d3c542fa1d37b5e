"""Define a finding of the first check: what was looked at, what was found, and what to do about it."""

from dataclasses import dataclass

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """One line of `bench doctor --arch ... --dataset ...`."""

    what: str
    verdict: str  # OK, WARNING or FAILED
    said: str
    advice: str = ""  # empty if it is OK
