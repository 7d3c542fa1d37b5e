"""Export a stored trial: each variant is made and checked in a child process, then gets its final name."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil

from bench.core.child_process import ChildEnded, ask
from bench.core.durable import replace_folder, sync_tree
from bench.core.errors import BenchError
from bench.core.files import MARK
from bench.core.trial_config import TrialConfig
from bench.deployment.format import LARGE_DRIFT, Format
from bench.deployment.model_json import EXAMPLE, MANIFEST, manifest
from bench.results.loading import StoredTrial
from bench.results.trial_files import write_json

CHILD_SECONDS = 7200.0
CALIBRATION = 100  # images


@dataclass(frozen=True)
class Variant:
    """A format and a precision of it."""

    form: Format
    precision: str

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.form.name}-{self.precision}"


@dataclass(frozen=True)
class Exported:
    """The outcome of a variant: its folder and `model.json`, or the reason why there is none."""

    variant: Variant
    folder: Path | None = None
    facts: dict[str, Any] | None = None
    empty: str = ""  # it doesn't exist
    failed: str = ""  # it exists, but not for this model

    @property
    def flag(self) -> str:
        """A warning about the numbers of a variant that was written."""
        drift = self.facts["check"]["drift"] if self.facts else 0.0
        return "large drift of logits: look at its scores with bench deploy" if drift > LARGE_DRIFT else ""


def export(
    trial: StoredTrial,
    config: TrialConfig,
    variants: Sequence[Variant],
    out: Path,
    *,
    dynamic_batch: bool = False,
    calibration: int = CALIBRATION,
    starting: Callable[[str], None] = lambda backend: None,
) -> list[Exported]:
    """Write each variant that exists into a folder of its own in `out`; return one answer per variant, in order.

    Args:
        config: the one that `trained_config` returns.
        calibration: how many images of the training split int8 may look at.
        starting: called with the name of each backend before its process starts.

    Raises:
        BenchError: none of the variants exists, `out` can't be written, or it holds something else under the name of
            one.
    """
    reasons = {
        variant.name: variant.form.why_not(variant.precision, dynamic_batch=dynamic_batch) for variant in variants
    }
    found = {v.name: Exported(v, empty=reasons[v.name]) for v in variants if reasons[v.name]}
    wanted = sorted((v for v in variants if v.name not in found), key=lambda v: v.form.backend)
    if not wanted:
        raise BenchError(f"None of these variants exists: {'; '.join(dict.fromkeys(reasons.values()))}.")
    with _writable(out):
        out.mkdir(parents=True, exist_ok=True)
        for variant in wanted:
            _check_place(out / variant.name)
        for backend, some in groupby(wanted, key=lambda v: v.form.backend):
            starting(backend)
            here = replace(config, backend=backend, precision="float32")
            for done in _convert(trial, here, list(some), out, dynamic_batch=dynamic_batch, calibration=calibration):
                found[done.variant.name] = done
    return [found[variant.name] for variant in variants]


def _convert(
    trial: StoredTrial, config: TrialConfig, variants: Sequence[Variant], out: Path, **options: Any
) -> Iterator[Exported]:
    """Convert variants of one backend in one process."""
    with _parts(out, variants) as parts:
        requests = [
            {
                "trial": str(trial.folder.resolve()),
                "config": config.to_dict(),
                "form": variant.form.name,
                "precision": variant.precision,
                "into": str(part.resolve()),
                "images": options["calibration"],
                "dynamic_batch": options["dynamic_batch"],
            }
            for variant, part in zip(variants, parts, strict=True)
        ]
        try:
            answers = ask("bench.deployment.convert:convert", requests, config.backend, CHILD_SECONDS)
        except ChildEnded as ended:
            yield from (Exported(one, failed=f"the process that converts ended: {ended}") for one in variants)
            return
        for variant, part, answer in zip(variants, parts, answers, strict=True):
            if "error" in answer:
                yield Exported(variant, failed=answer["error"])
                continue
            facts = manifest(trial, config, variant.form, variant.precision, answer, part)
            write_json(part / MANIFEST, facts)
            (part / EXAMPLE).write_text(variant.form.example, encoding="utf-8")
            sync_tree(part)
            replace_folder(part, out / variant.name, part.with_name(f"{part.name}.old"))
            yield Exported(variant, out / variant.name, facts)


@contextmanager
def _parts(out: Path, variants: Sequence[Variant]) -> Iterator[list[Path]]:
    """Make a hidden folder for each variant, and remove what is left of them; also those of processes that died."""
    for old in out.glob(f".*{MARK}*"):
        owner = old.name[1:].partition(".")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    parts = [out / f".{os.getpid()}{MARK}{variant.name}" for variant in variants]
    try:
        for part in parts:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
        yield parts
    finally:
        for part in parts:
            shutil.rmtree(part, ignore_errors=True)


def _check_place(folder: Path) -> None:
    """Raise BenchError if a folder isn't one that an export has made and may replace."""
    if os.path.lexists(folder) and not (folder / MANIFEST).is_file():
        raise BenchError(f"'{folder}' is there, and no export made it. Move it, or give another --out.")


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"'{error.filename or out}' can't be written ({error.strerror or error}). Give another --out."
        ) from error
