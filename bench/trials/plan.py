"""Turn configurations into planned trials: prepare the data, compute identities, find trials that are done."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.config import catalog, checks
from bench.core.code.import_by_name import read_plugin
from bench.core.errors import BenchError
from bench.core.specs import FINAL_STATUSES, NO_DATASET, PROTOCOL_VERSION, TrialRecord
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.data.loading.open_images import open_images
from bench.data.opened.planned import keep_opened, reopened
from bench.data.selection.folds import in_fold
from bench.data.splits import check_enough
from bench.evaluation.image_metrics import metrics_for
from bench.profiling.environment import several
from bench.profiling.host.cgroups import free_memory
from bench.results.analysis.target import check_target
from bench.results.software import is_stale
from bench.results.store import ResultsFolder
from bench.results.weight_retention import keep
from bench.trials.identity import check_contents, contents, trial_identity, trial_key
from bench.trials.preflight import check_models, fetch_weights


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that a runner will run or that is done already."""

    config: TrialConfig  # resolved
    key: str
    configuration: str  # the key that all seeds, repeats and folds have in common
    fingerprint: str  # of the data
    identity: str  # the name of its folder
    record: TrialRecord | None  # of an earlier run, whatever its status
    device: str  # on which it runs; if it isn't placed, one of those on which it may run
    protocol: int = PROTOCOL_VERSION  # the version of how it runs
    forced: bool = False  # it is to run even if it is done
    outdated: bool = False  # it is done, but under other versions, and is therefore to run again
    contents: Mapping[str, str] = field(default_factory=dict)  # hashes of weights and code that the trial must find
    code: Mapping[str, str] = field(default_factory=dict)  # the plug-in's files, as they are now
    placed: bool = True  # whether it runs on that type of device and no other
    opened: str = ""  # the file by which its process opens the data without their source files; empty: there is none

    @property
    def task(self) -> tuple[str, int, str]:
        """Return what it is in its run, also before its device is known."""
        return self.key, self.config.repeat, self.device if self.placed else ""

    @property
    def done(self) -> bool:
        """Tell whether it need not run: an earlier run's status is final and it measured everything asked for."""
        return self.record is not None and not self.again and is_done(self.config, self.record)

    @property
    def again(self) -> bool:
        """Tell whether it is to run even if it is done."""
        return self.forced or self.outdated

    @property
    def stale(self) -> bool:
        """Tell whether it is done under other versions of the backend or of Keras than there are now."""
        return self.done and self.record is not None and is_stale(self.record)


def is_done(config: TrialConfig, record: TrialRecord) -> bool:
    """Tell whether the record of an earlier run has everything that the configuration asks for."""
    lacks_search = config.find_batch_size and "largest_batch" not in record.memory
    return record.status in FINAL_STATUSES and not lacks_search


def plan(
    configs: Iterable[TrialConfig],
    results: ResultsFolder,
    types: Sequence[str],
    *,
    each_device: bool = False,
    force: bool = False,
    rerun_stale: bool = False,
    preparing: Callable[[str, int, int], None] = lambda dataset, done, total: None,
    doubting: Callable[[str, Sequence[str]], None] = lambda dataset, warnings: None,
) -> list[PlannedTrial]:
    """Prepare the data of resolved configurations and plan their trials, equal ones once.

    Args:
        types: the names of the devices on which they may run, each once. A trial that is done on one of them is
            done; one that was begun is placed on that one.
        each_device: plan each trial once for each type.
        force: plan to run every trial, even if it is done.
        rerun_stale: plan to run those again that are done under other versions (see `is_stale`).
        preparing: called with the data set's name, the number of decoded images and that of all images.
        doubting: called with the data set's name and its warnings, if it has any.

    Raises:
        BenchError: a plug-in or a weights file changed meanwhile.
    """
    known_data: dict[tuple[Any, ...], _Data] = {}
    trials: dict[str, PlannedTrial] = {}
    resolved = list(configs)
    sources = {_sources(config): config for config in resolved}
    known = {source: contents(config) for source, config in sources.items()}
    code: dict[str | None, dict[str, str]] = {
        config.plugin: read_plugin(config.plugin) for config in resolved if config.plugin
    }
    for config in resolved:
        if config.init_from and Path(config.init_from).parent == results.trials.resolve():
            keep(Path(config.init_from))  # so that no better trial of this run replaces them
    for config in resolved:
        check_target(config)
        fetch_weights(config)
    check_models(resolved)
    for config in resolved:
        data = data_of(config)
        if data not in known_data:
            known_data[data] = _data(config, partial(preparing, config.dataset))
            if warnings := known_data[data].warnings:
                doubting(config.dataset, warnings)
        fingerprint, whole, protocol, kept, _, opened = known_data[data]
        images = Counter(_in_fold(whole, config).splits) if whole else {}
        if config.measure == "validation" and not images.get("val"):
            raise BenchError(f"--tune chooses on the validation split, and {config.dataset} has no image in it.")
        if images:
            check_enough(images.get("train", 0), config.train_limit)
        config = replace(config, pack=kept)
        key = trial_key(config, fingerprint, images, protocol=protocol)
        pooled = trial_key(config.pooled, fingerprint, images, protocol=protocol)
        basis = partial(PlannedTrial, config, key, pooled, fingerprint, protocol=protocol, forced=force, opened=opened)
        found = [
            basis(identity, _found(results, identity), device)
            for device in (several(name, config.devices_per_trial) for name in types)
            for identity in (trial_identity(config, key, device),)
        ]
        for trial in found if each_device else _best(found, results):
            trial = replace(trial, contents=known[_sources(config)], code=code.get(config.plugin, {}))
            trials.setdefault(trial.identity, replace(trial, outdated=True) if rerun_stale and trial.stale else trial)
    for source, config in sources.items():
        check_contents(config, known[source])
    return list(trials.values())


def _best(options: Sequence[PlannedTrial], results: ResultsFolder) -> list[PlannedTrial]:
    """Choose the device where the trial is done, or else was begun; if there is none, leave it open."""
    if len(options) == 1:
        return list(options)
    begun = [trial for trial in options if trial.record or results.running_folder(trial.identity).exists()]
    chosen = sorted(begun, key=lambda trial: trial.record is None or not is_done(trial.config, trial.record))
    return chosen[:1] or [replace(options[0], placed=False)]


def _sources(config: TrialConfig) -> tuple[str | None, ...]:
    """Return the options on which `contents` depends."""
    return config.plugin, config.weights, config.init_from, config.arch, config.dataset, config.data_dir


def data_of(config: TrialConfig) -> tuple[Any, ...]:
    """Return what decides the pack of a configuration."""
    params = tuple(sorted(config.dataset_params.items()))
    return config.dataset, params, config.image_size, config.resize, config.data_dir, config.skip_corrupt, config.pack


class _Data(NamedTuple):
    """The facts of a configuration's data that a plan needs."""

    fingerprint: str
    images: Images | None  # None for speed-only trials
    protocol: int
    kept: str  # where the decoded images are: the option `pack`, but "none" if "auto" found no room
    warnings: tuple[str, ...]
    opened: str  # as in PlannedTrial


def _data(config: TrialConfig, progress: Callable[[int, int], None]) -> _Data:
    """Prepare the data of a configuration."""
    if config.measure == "speed":
        return _Data(NO_DATASET, None, PROTOCOL_VERSION, config.pack, (), "")
    prepared = _whole(config, progress)
    checks.head(config, len(prepared.classes))
    kept = config.pack if prepared.packed else "none"
    if kept == "memory":
        _check_memory(prepared, config)
    return _Data(prepared.fingerprint, prepared, prepared.protocol, kept, prepared.warnings, keep_opened(prepared))


def _found(results: ResultsFolder, identity: str) -> TrialRecord | None:
    """Read a trial's record; None also if it can't be read now, which the runner finds out again."""
    try:
        return results.find(identity)
    except BenchError:
        return None


def read_planned(config: TrialConfig, fingerprint: str, opened: str) -> Images:
    """Return the images that a trial was planned with, by the file in which the plan has kept what it knows of them.

    Raises:
        BenchError: as `read_pack`, or the data has changed since.
    """
    known = reopened(opened, fingerprint)
    prepared = _in_fold(known, config) if known else prepare_pack(config)
    if prepared.fingerprint != fingerprint:
        raise BenchError(f"The data of {config.dataset} changed after the run was planned. Run it again.")
    return _placed(prepared, config)


def read_pack(config: TrialConfig, progress: Callable[[int, int], None] | None = None) -> Images:
    """Return what `prepare_pack` does, in memory if `--pack` says so; raise BenchError if it doesn't fit there."""
    return _placed(prepare_pack(config, progress), config)


def _placed(prepared: Images, config: TrialConfig) -> Images:
    if config.pack != "memory":
        return prepared
    _check_memory(prepared, config)
    return prepared.in_memory()


def _check_memory(prepared: Images, config: TrialConfig) -> None:
    needed, free = prepared.nbytes, free_memory()
    if needed > free:
        raise BenchError(
            f"The pack of '{config.dataset}' has {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB of memory are "
            "free. Give --pack disk, which reads from the disk what it needs."
        )


def prepare_pack(
    config: TrialConfig, progress: Callable[[int, int], None] | None = None, *, verify_data: bool = False
) -> Images:
    """Return the images of a configuration's data set; decode and pack them if they aren't yet and `--pack` says so.

    Args:
        progress: called with the number of images done and that of all images.
        verify_data: compare the source files with those that were decoded.

    Raises:
        BenchError: before anything is decoded, if the data set names a metric that doesn't suit it.
    """
    return _in_fold(_whole(config, progress, verify_data=verify_data), config)


def _whole(
    config: TrialConfig, progress: Callable[[int, int], None] | None = None, *, verify_data: bool = False
) -> Images:
    """Do as `prepare_pack`, without folds."""
    spec = catalog.dataset(config)
    metrics_for(spec.metrics, spec.num_classes)
    return open_images(
        spec,
        config.image_size,
        kept=config.pack,
        resize=config.resize,
        data_dir=config.data_dir,
        params=config.dataset_params,
        skip_corrupt=config.skip_corrupt,
        verify_data=verify_data,
        progress=progress,
    )


def _in_fold(images: Images, config: TrialConfig) -> Images:
    return in_fold(images, config.folds, config.fold, config.dataset_params)
