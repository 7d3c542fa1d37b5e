"""Read the variants that a user asks for: formats times precisions."""

from collections.abc import Sequence

from bench.config.checks import require_choice
from bench.config.view_sizes import TTA
from bench.core.errors import BenchError
from bench.deployment.export_run import Variant
from bench.deployment.format import PRECISIONS
from bench.deployment.formats import FORMATS

ALL = "all"


def read_variants(formats: str, precisions: str) -> tuple[list[Variant], list[str]]:
    """Return the variants of comma-separated formats and precisions, and a line for each format of "all" left out.

    Raises:
        BenchError: an unknown name, or a format that the user names and that isn't installed.
    """
    names, left_out = _names("--format", formats, tuple(FORMATS)), []
    chosen = [FORMATS[name] for name in names]
    missing = {form.name: reason for form in chosen if (reason := form.not_installed())}
    if missing and (formats != ALL or len(missing) == len(chosen)):
        raise BenchError(f"{'; '.join(dict.fromkeys(missing.values()))}.")
    if missing:
        left_out = [f"Left out: {reason}" for reason in missing.values()]
    kinds = _names("--precision", precisions, PRECISIONS)
    return [Variant(form, kind) for form in chosen if form.name not in missing for kind in kinds], left_out


def read_views(text: str | None) -> list[str]:
    """Return the kinds of test-time augmentation of a text with commas; raise BenchError for an unknown one."""
    return _names("--tta", text, TTA) if text else []


def _names(option: str, text: str, accepted: Sequence[str]) -> list[str]:
    if text == ALL:
        return list(accepted)
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        require_choice(option, name, (*accepted, ALL))
    return names
