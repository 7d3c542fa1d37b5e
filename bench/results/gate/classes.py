"""Find the stored configurations to compare new records with: those of their hardware class, or else of one like it.

Scores, parameters and FLOPs hardly depend on the device, so the records of a class that the baseline doesn't have are
compared with the class that has most of their configurations. Memory is compared within a class only.
"""

from collections.abc import Mapping, Sequence

from bench.results.gate.measured import HardwareClass, Subject, by_class
from bench.results.gate.verdict import NOTED, UNJUDGED, Line

TRIALS = "trials"  # the metric of the line that says whether the trials ran
CLASS = "hardware class"  # the metric of the line of a class that the baseline doesn't have
_ADD = "`make baseline REASON='why'`, or `bench check RESULTS --update --reason 'why'`, adds it."


def match(
    base: Sequence[Subject], new: Sequence[Subject], *, judges_memory: bool
) -> tuple[list[tuple[Subject, Subject]], list[Line]]:
    """Pair stored configurations with new ones, and list what has no counterpart.

    Args:
        judges_memory: whether there is a limit for memory, which an unknown class leaves unjudged.
    """
    known = by_class(base)
    pairs: list[tuple[Subject, Subject]] = []
    classes, others = list[Line](), list[Line]()
    for hardware, some in (by_class(new) or {name: list[Subject]() for name in known}).items():
        other = hardware if hardware in known else _most_alike(some, known)
        if other != hardware:
            classes.append(_unknown(hardware, other, list(known), judges_memory))
        if other is None:
            continue
        by_hash = {subject.configuration: subject for subject in some}
        for old in known[other]:
            if found := by_hash.pop(old.configuration, None):
                pairs.append((old, found))
            else:
                others.append(Line(old.label, TRIALS, UNJUDGED, reason=_why_missing(old, some)))
        reason = "Not in the baseline; --update adds it."
        others += [Line(subject.label, TRIALS, NOTED, reason=reason) for subject in by_hash.values()]
    return pairs, [*classes, *others]


def _most_alike(new: Sequence[Subject], known: Mapping[HardwareClass, Sequence[Subject]]) -> HardwareClass | None:
    """Return the class with the most configurations of `new`; None if no class has any."""
    counts = {name: sum(any(_alike(one, old) for old in some) for one in new) for name, some in known.items()}
    best = max(counts, key=counts.__getitem__, default=None)
    return best if best and counts[best] else None


def _alike(one: Subject, old: Subject) -> bool:
    return one.configuration == old.configuration or one.config == old.config


def _unknown(
    hardware: HardwareClass, other: HardwareClass | None, known: Sequence[HardwareClass], judges_memory: bool
) -> Line:
    names = "; ".join(map(str, known)) or "none"
    text = f"This class isn't in the baseline, which has: {names}. {_ADD}"
    if other is None:
        return Line(str(hardware), CLASS, UNJUDGED, reason=f"{text} None has these configurations.")
    memory = ", and memory is not judged" if judges_memory else ""
    reason = f"{text} Scores, parameters and FLOPs are compared with those of {other}{memory}."
    return Line(str(hardware), CLASS, UNJUDGED if judges_memory else NOTED, reason=reason)


def _why_missing(old: Subject, new: Sequence[Subject]) -> str:
    alike = next((subject for subject in new if _alike(subject, old)), None)
    if alike is None:
        return "The new records have no trial of this configuration. Run it, or remove it with --update."
    if alike.protocol != old.protocol:
        return f"Other protocol: {old.protocol} in the baseline, {alike.protocol} now."
    if alike.fingerprint != old.fingerprint:
        was, now = (repr(subject.fingerprint[:12]) for subject in (old, alike))
        return f"Other data: fingerprint {was} in the baseline, {now} now."
    return "The code or file that the configuration names has changed since the baseline."
