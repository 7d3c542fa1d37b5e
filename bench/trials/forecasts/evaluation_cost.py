"""The cost of a trial's evaluation: the images that it scores, which its configuration decides, and its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.core.specs import TrialRecord
from bench.core.trial_config import DEFAULTS, TrialConfig
from bench.evaluation.thresholds import MOST_IMAGES
from bench.training.budget import VALIDATIONS
from bench.trials.identity import limits_of


@dataclass(frozen=True)
class DataSize:
    """The size of a data set."""

    images: Mapping[str, int]  # by split, all of them
    classes: int


Sizes = Mapping[str, DataSize]  # by `data_name`


@dataclass(frozen=True)
class Evaluation:
    """The images that a trial scores."""

    val: int  # in each validation
    test: int
    tuning: int  # to tune the threshold; 0 with more than two classes
    all_val: int  # in the split
    all_test: int
    seconds: float | None = None  # of all of it; None: not known

    @property
    def images(self) -> int:
        """The number of predictions, repeats included."""
        return VALIDATIONS * self.val + self.tuning + self.test

    def __str__(self) -> str:
        tuning = f", tuning on {self.tuning:,}" if self.tuning else ""
        validations = f"{VALIDATIONS} validations of {_of(self.val, self.all_val)}"
        return f"{validations}{tuning}, a test of {_of(self.test, self.all_test)}"


def whole_name(config: TrialConfig) -> str:
    """Name what decides which images a configuration's data set has."""
    return repr((config.dataset, config.data_dir, sorted(config.dataset_params.items())))


def data_name(config: TrialConfig) -> str:
    """Name what decides which images a configuration's data set has in each split."""
    return f"{whole_name(config)} {config.fold}/{config.folds}"


def size_of(config: TrialConfig, known: Sizes, records: Sequence[TrialRecord]) -> DataSize | None:
    """Return the size of the configuration's data set: as it is now, or else as in the latest record of it."""
    if data_name(config) in known:
        return known[data_name(config)]
    wanted = config.dataset, dict(config.dataset_params), config.folds, config.fold
    for record in sorted(records, key=lambda record: record.finished, reverse=True):
        found = {"dataset_params": {}, "folds": 0, "fold": 0, **record.config}
        if tuple(found.get(name) for name in ("dataset", "dataset_params", "folds", "fold")) == wanted:
            data = record.dataset
            return DataSize({**data.get("images", {}), **data.get("split_images", {})}, len(data.get("classes", ())))
    return None


def evaluation(config: TrialConfig, size: DataSize, alike: Sequence[TrialRecord]) -> Evaluation:
    """Count what a trial scores and tell its time from the records of alike trials with the same evaluation size."""
    whole = {split: size.images.get(split, 0) for split in ("val", "test")}
    val, test = (limits_of(config, whole).get(split, n) for split, n in whole.items())
    tuning = min(val, MOST_IMAGES) if size.classes == 2 else 0
    counted = Evaluation(val, test, tuning, whole["val"], whole["test"])
    rates = [_seconds_per_image(record) for record in alike if _eval_size(record) == config.eval_size]
    known = [rate for rate in rates if rate]
    return replace(counted, seconds=counted.images * median(known)) if known else counted


def _eval_size(record: TrialRecord) -> str:
    return str(record.config.get("eval_size", DEFAULTS.eval_size))


def _seconds_per_image(record: TrialRecord) -> float:
    """Return the seconds of evaluation for each image that was scored; 0 if they aren't known."""
    images = record.dataset.get("images", {})
    val = images.get("val", 0)
    tuning = min(val, MOST_IMAGES) if record.metrics.get("tuned") else 0
    scored = record.training.get("validations", VALIDATIONS) * val + tuning + images.get("test", 0)
    return record.ledger.get("evaluate", 0.0) / scored if scored else 0.0


def _of(some: int, whole: int) -> str:
    return f"{some:,} of {whole:,} images" if some < whole else f"{some:,} images"
