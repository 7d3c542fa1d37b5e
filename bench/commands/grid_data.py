"""A grid's data sets before anything runs: they are opened, what can't be trained on is refused, images are counted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.shared import opened, output
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.core.specs import DatasetSpec
    from bench.data.source import Source
    from bench.trials.forecasts.evaluation_cost import Sizes


def check_data(configs: Sequence[TrialConfig], *, estimating: bool = False) -> "tuple[list[str], Sizes]":
    """Open each data set but download none; return a line per download, and the sizes of those that are here.

    Args:
        estimating: try steps that take long on a few files only, and return lines that say what will come, too; the
            sizes may be estimates then, which are never below the true ones.

    Raises:
        BenchError: a folder can't be used, the disk has no room for a pack, a data set's validations lack the score
            of a target, or it has too few images or groups for the folds or training images that are asked for.
    """
    from bench.config import catalog
    from bench.data.splits import check_enough
    from bench.results.analysis.target import check_target
    from bench.trials.forecasts.evaluation_cost import DataSize, data_name

    for config in configs:
        check_target(config)
    coming: list[str] = []
    sizes = {}
    for alike in _by_data(configs):
        spec, data_dir = catalog.find_dataset(alike[0].dataset, alike[0].data_dir)
        if line := _download(spec, data_dir):
            coming.append(line)
            continue
        packed = [config for config in alike if config.measure == "all"]
        if estimating:
            source, lines = _estimated(spec, data_dir, packed)
            coming += lines
        else:
            needed = {one.image_size for one in packed if one.pack in ("disk", "memory")}
            source = opened(output(), spec, data_dir, alike[0].dataset_params, needed)
        for config in alike:
            if (name := data_name(config)) not in sizes:
                sizes[name] = DataSize(_counts(source, config), len(source.spec.classes))
            check_enough(sizes[name].images.get("train", 0), config.train_limit)
    return coming, sizes


def _by_data(configs: Sequence[TrialConfig]) -> Iterator[list[TrialConfig]]:
    """Yield the configurations that train, those of one data set together whatever their folds."""
    from bench.trials.forecasts.evaluation_cost import whole_name

    found: dict[str, list[TrialConfig]] = {}
    for config in configs:
        if config.measure != "speed":
            found.setdefault(whole_name(config), []).append(config)
    yield from found.values()


def _download(spec: "DatasetSpec", data_dir: Path | str | None) -> str:
    """Say what will be downloaded of a data set; nothing if it is here."""
    from bench.data import kaggle_download

    if data_dir is None and spec.needs_data_dir and spec.archives:
        size = sum(size for _, size, _ in spec.archives) / 2**20
        return f"{spec.name}: its archives ({size:.0f} MiB) will be downloaded unless they are in the cache."
    if data_dir is None and spec.kaggle and not kaggle_download.is_here(spec, spec.kaggle):
        return f"{spec.name}: {spec.kaggle.size / 2**30:.1f} GiB will be downloaded from Kaggle."
    return ""


def _counts(source: "Source", config: TrialConfig) -> Mapping[str, int]:
    """Count the images of each split, in the configuration's fold if it has one."""
    from bench.data.selection.folds import Listing, fold_splits

    if not config.folds:
        return source.counts
    names, groups, splits = zip(*((one.name, one.group, str(one.split)) for one in source.samples), strict=True)
    listing = Listing(names, groups, splits, source.fixed_test)
    return Counter(fold_splits(listing, config.folds, config.fold, config.dataset_params)[0])


def _estimated(
    spec: "DatasetSpec", data_dir: Path | str | None, configs: Sequence[TrialConfig]
) -> "tuple[Source, list[str]]":
    """Open the data set of the configurations by a sample; return it and what comes before the first trial."""
    from bench.data.facts.file_facts import sampling
    from bench.trials.forecasts.preparation import preparations

    with sampling() as left:
        source = opened(output(), spec, data_dir, configs[0].dataset_params)
    return source, preparations(source, configs, left)
