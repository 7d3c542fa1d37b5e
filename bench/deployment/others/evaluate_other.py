"""Score and time a model that segbench didn't train, each in a process with limits on time and memory."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import __version__
from bench.config import catalog, checks
from bench.core.backends import TABLE, installed, quickest
from bench.core.child_process import ChildEnded, ask
from bench.core.errors import BenchError
from bench.core.files import file_hash
from bench.core.option_kinds import shown
from bench.core.trial_config import TrialConfig
from bench.data.remote.address import place_of
from bench.deployment.class_maps import PICTURES
from bench.deployment.others.contract import Contract
from bench.deployment.others.kinds import Kind, find_kind
from bench.deployment.others.model_files import files_of
from bench.deployment.processes import check_threads, cores, without_gpu
from bench.profiling.environment import versions
from bench.profiling.host.cgroups import free_memory
from bench.profiling.host.memory_kill import resident
from bench.results.deployed.other_models import NOT_TRAINED_HERE, OtherModel, other_model, store_other
from bench.results.trial_files import IMAGES

_SHARE = 0.8  # of the memory that is free at the start
_GIB = 2**30


def evaluate_other(
    model: Path,
    contract: Contract,
    said: Mapping[str, Any],
    config: TrialConfig,
    results: Path,
    *,
    split: str = "test",
    threads: int = 1,
    timeout: float,
    unseen: bool = False,
    backend: str | None = None,
    doing: Callable[[str], None] = lambda what: None,
) -> tuple[OtherModel, Path]:
    """Score a file on a split, time it, and store the record; return it and its path.

    Args:
        contract: what must be known of the file.
        said: the whole of its `model.json`, which may tell on which data it was trained; empty if there is none.
        config: whose data set is scored, resolved by `data_config`.
        timeout: seconds for each of the two processes.
        unseen: whether the user says that the model saw none of the split's images.
        backend: the one that opens a `.keras` file; None for the quickest that is installed.
        doing: called with a few words before each step.

    Raises:
        BenchError: the file is refused, or can't be opened, or something about it isn't what was said; nothing has
            been stored then.
    """
    kind = find_kind(model)
    check_threads([threads])
    files = files_of(model)
    request = {"kind": kind.name, "file": str(model.resolve())}
    runs_on = _backend(kind, backend)
    with TemporaryDirectory(prefix="segbench-") as name, without_gpu():
        into = Path(name)
        doing("scoring")
        whole = {**request, "contract": contract.to_dict(), "config": config.to_dict(), "split": split, "into": name}
        scored = _ask("score_other:score", whole, runs_on, timeout)
        doing(f"timing, threads: {threads}")
        with cores(threads) as device:
            timed_on = runs_on if kind.name in ("keras", "saved_model") else None
            asked = {**request, "threads": threads, "images": str(into / PICTURES)}
            timings = _ask("measure_other:measure", asked, timed_on, timeout)
        if timings["sha256"] != scored["sha256"]:
            raise BenchError(f"'{shown(model.name)}' was changed while it was measured. Nothing was stored.")
        reason = _reason(said, scored["dataset"]["fingerprint"], unseen)
        record = other_model(
            {
                "kind": NOT_TRAINED_HERE,
                "model": model.name,
                "format": kind.name,
                "split": split,
                "eval_size": contract.eval_size,
                "contract": contract.to_dict(),
                "unseen": reason,
                "threads": threads,
                "device": device,
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "segbench": __version__,
                "versions": {**versions(), **_runtime_versions(kind)},
                "notes": [note for note in (_other_file(said, files), scored["doubt"]) if note],
                **scored,
                **timings,
            }
        )
        return record, store_other(results, record, into / IMAGES)


def data_config(dataset: str, data_dir: str | None, params: Mapping[str, Any], contract: Contract) -> TrialConfig:
    """Return a configuration whose data set is resolved; nothing is trained with it."""
    spec, folder = catalog.find_dataset(dataset, data_dir)
    return TrialConfig(
        arch="",
        dataset=spec.name,
        data_dir=place_of(folder) if folder else None,
        dataset_params=checks.params(params, spec),
        resize=contract.resize,
        eval_size=contract.eval_size,
    )


def _backend(kind: Kind, wanted: str | None) -> str | None:
    """Return the Keras backend of the process that scores: one framework in a process."""
    if wanted and kind.name != "keras":
        raise BenchError(f"--backend is for .keras files; {kind.title} has a runtime of its own. Leave it out.")
    if wanted:
        checks.require_choice("backend", wanted, tuple(TABLE))
        if not installed(wanted):
            raise BenchError(f"The backend {wanted} is not installed: {TABLE[wanted].pip_line}")
    return kind.backend or wanted or quickest()


def _ask(target: str, request: dict[str, Any], backend: str | None, timeout: float) -> dict[str, Any]:
    """Ask a process that is ended after its time, or when it holds too much memory."""
    most = _SHARE * free_memory()

    def watch(pid: int) -> str:
        held = resident(pid)
        return f"it held {held / _GIB:.1f} GiB, and {most / _GIB:.1f} GiB are its limit" if held > most else ""

    what = "scores" if target.startswith("score") else "times"
    try:
        (answer,) = ask(f"bench.deployment.others.{target}", [request], backend, timeout, watch=watch)
    except ChildEnded as ended:
        raise BenchError(f"The process that {what} the model ended: {ended}. Nothing was stored.") from ended
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer


def _reason(said: Mapping[str, Any], fingerprint: str, unseen: bool) -> str:
    """Say why a model can't have seen the images that it is scored on; an empty text if nobody says so."""
    source = said.get("source")
    if isinstance(source, dict) and source.get("fingerprint") == fingerprint:
        run = shown(str(source.get("run")))
        return f"its model.json says that the run {run} trained it on the training split of the same data"
    return "the user says so" if unseen else ""


def _other_file(said: Mapping[str, Any], files: list[Path]) -> str:
    """Return a note if the `model.json` describes a file with another hash."""
    described = said.get("files")
    known = described.get(files[0].name) if isinstance(described, dict) else None
    if isinstance(known, dict) and known.get("sha256") != file_hash(files[0]):
        return "Its model.json describes another file of that name (the hashes differ)."
    return ""


def _runtime_versions(kind: Kind) -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in kind.needs.values()}
