"""Limits of cost that are given in the place of an image size, as `--same-gflops`; imports no keras.

Trials of different image sizes are compared at the images' native size: a limit implies `--eval-size native`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.core.errors import BenchError
from bench.core.trial_config import OPTIONS, TrialConfig


@dataclass(frozen=True)
class Limit:
    """A kind of cost that an option limits."""

    field: str  # of TrialConfig
    unit: str
    form: str  # of a number

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return OPTIONS[self.field].flag

    def text(self, value: float) -> str:
        """Write a limit: `5 GFLOPs`."""
        return f"{value:,{'g' if value < 1e6 else '.0f'}} {self.unit}"

    def cost(self, value: float) -> str:
        """Write a cost: `4.87 GFLOPs`."""
        return f"{value:{self.form}} {self.unit}"


OPERATIONS = Limit("same_gflops", "GFLOPs", ".3g")
MEMORY = Limit("same_memory_mib", "MiB", ",.0f")
LIMITS = (OPERATIONS, MEMORY)
FIELDS = tuple(limit.field for limit in LIMITS)


def limit_of(config: TrialConfig) -> tuple[Limit, float] | None:
    """Return the limit within which the image size is chosen; None if the size is given."""
    found = ((limit, getattr(config, limit.field)) for limit in LIMITS)
    return next(((limit, value) for limit, value in found if value), None)


def without_limit(config: TrialConfig) -> TrialConfig:
    """Return the configuration with its image size as if that had been given."""
    return replace(config, same_gflops=None, same_memory_mib=None, sized_memory_mib=None)


def share_of_limit(config: TrialConfig, gflops: float | None) -> dict[str, float]:
    """Return `limit_share`, the cost divided by the limit within which the image size was chosen; {} without one.

    Args:
        gflops: the operations of the model at that size; None if they can't be counted.
    """
    limit, most = limit_of(config) or (OPERATIONS, None)
    cost = gflops if limit is OPERATIONS else config.sized_memory_mib
    return {"limit_share": round(cost / most, 6)} if cost and most else {}


def at_native_size(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given values, with the evaluation size that a limit implies.

    Raises:
        BenchError: an image size, another limit or another evaluation size is given, too.
    """
    if not (flag := _only_flag(given)):
        return dict(given)
    if given.get("image_size") is not None:
        raise BenchError(
            f"{flag} chooses the image size of each architecture. Leave out --image-size, or give it alone."
        )
    if given.get("eval_size") not in (None, "native"):
        raise BenchError(_only_native(flag, str(given["eval_size"])))
    return {**given, "eval_size": "native"}


def check(config: TrialConfig) -> None:
    """Raise BenchError if a configuration with a limit can't be compared with those of other image sizes."""
    if not (flag := _only_flag(vars(config))):
        return
    if config.crop:
        raise BenchError(
            f"{flag} chooses the image size, but with --crop the model's input has the crop's size. Leave out one."
        )
    if config.eval_size != "native":
        raise BenchError(_only_native(flag, config.eval_size))


def _only_flag(given: Mapping[str, Any]) -> str:
    """Return the option of the limit that is given, "" if there is none; raise BenchError if there are several."""
    flags = [limit.flag for limit in LIMITS if given.get(limit.field) is not None]
    if len(flags) > 1:
        raise BenchError(f"{' and '.join(flags)} each choose the image size of each architecture. Give one of them.")
    return "".join(flags)


def _only_native(flag: str, given: str) -> str:
    return (
        f"{flag} compares image sizes that differ, which only --eval-size native can, but --eval-size is {given}. "
        "Leave it out."
    )
