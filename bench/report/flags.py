"""What should make a reader careful with a row, each with its evidence."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.records.statistics import Configuration
from bench.records.text import shorten
from bench.report.columns import EFFICIENCY_LIMIT

UNSTEADY = 0.2  # interquartile range over median of the training speed
_CODE = ("commit", "driver", "python")  # beside the versions of packages


@dataclass(frozen=True)
class Flag:
    """A word for the table and what it rests on."""

    name: str
    evidence: str


MEANINGS = {
    "single seed": "another seed may change the score by more than the rows differ",
    "seeds failed": "the mean is over the seeds that ended well",
    "no interval": "the per-image tables don't give one, so nothing is told apart from the row",
    "input-bound": f"harness efficiency below {EFFICIENCY_LIMIT}: input or harness held the training up",
    "unsteady speed": f"the training speed's interquartile range is above {UNSTEADY:.0%} of its median",
    "learned nothing": "no better than predicting the commonest class everywhere",
    "changed code": "segbench's checkout had uncommitted changes",
    "mixed versions": "its trials ran with different code or packages",
}


def flags(member: Configuration, no_interval: str | None) -> tuple[Flag, ...]:
    """The flags of a configuration that has a score; `no_interval` says why it has no uncertainty."""
    return tuple(_flags(member, no_interval))


def _flags(member: Configuration, no_interval: str | None) -> Iterator[Flag]:
    if member.seeds == 1:
        yield Flag("single seed", "1 seed ended well")
    if member.failed:
        yield Flag("seeds failed", f"{member.failed} of {len(member.trials)} trials did not end well")
    if no_interval:
        yield Flag("no interval", no_interval)
    efficiency = member.spread("harness_efficiency").mean
    if efficiency < EFFICIENCY_LIMIT:
        yield Flag("input-bound", f"harness efficiency {efficiency:.2f}")
    unsteady = member.spread("train_images_per_second_iqr").mean / (member.spread("train_images_per_second").mean or 1)
    if unsteady > UNSTEADY:
        yield Flag("unsteady speed", f"interquartile range {unsteady:.0%} of the median")
    score, floor = member.spread("mean_iou").mean, member.spread("majority_class_mean_iou").mean
    if score <= floor:
        yield Flag("learned nothing", f"mean IoU {score:.3f}, that of the commonest class {floor:.3f}")
    yield from _code_flags(member)


def _code_flags(member: Configuration) -> Iterator[Flag]:
    ok = member.ok
    if "dirty" in ok and (changed := [str(value) for value in ok["dirty"]].count("True")):
        yield Flag("changed code", f"{changed} of {len(ok)} trials")
    names = [name for name in ok.columns if name in _CODE or name.startswith("version_")]
    mixed = [name for name in names if len(set(ok[name])) > 1]
    if mixed:
        listed = [f"{name.removeprefix('version_')} {', '.join(sorted(set(map(str, ok[name])))[:3])}" for name in mixed]
        yield Flag("mixed versions", shorten("; ".join(listed), 200))
