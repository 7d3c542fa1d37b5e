"""Limits of cost that are given in the place of an image size, as `--same-gflops`; imports no keras.

Trials of different image sizes are compared at the images' native size: a limit implies `--eval-size native`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.core.errors import BenchError
from bench.core.trial_config import OPTIONS, TrialConfig

LIMITS = ("same_gflops",)  # fields of TrialConfig


def limit_of(config: TrialConfig) -> float | None:
    """Return the limit within which the image size is chosen; None if the size is given."""
    return config.same_gflops


def without_limit(config: TrialConfig) -> TrialConfig:
    """Return the configuration with its image size as if that had been given."""
    return replace(config, same_gflops=None)


def at_native_size(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given values, with the evaluation size that a limit implies.

    Raises:
        BenchError: an image size or another evaluation size is given, too.
    """
    limits = [name for name in LIMITS if given.get(name) is not None]
    if not limits:
        return dict(given)
    flag = OPTIONS[limits[0]].flag
    if given.get("image_size") is not None:
        raise BenchError(
            f"{flag} chooses the image size of each architecture. Leave out --image-size, or give it alone."
        )
    if given.get("eval_size") not in (None, "native"):
        raise BenchError(_only_native(flag, str(given["eval_size"])))
    return {**given, "eval_size": "native"}


def check(config: TrialConfig) -> None:
    """Raise BenchError if a configuration with a limit can't be compared with those of other image sizes."""
    for flag in (OPTIONS[name].flag for name in LIMITS if getattr(config, name) is not None):
        if config.crop:
            raise BenchError(
                f"{flag} chooses the image size, but with --crop the model's input has the crop's size. Leave out one."
            )
        if config.eval_size != "native":
            raise BenchError(_only_native(flag, config.eval_size))


def _only_native(flag: str, given: str) -> str:
    return (
        f"{flag} compares image sizes that differ, which only --eval-size native can, but --eval-size is {given}. "
        "Leave it out."
    )
