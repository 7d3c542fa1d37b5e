"""Estimate from earlier records which trials of a grid are done and how long the others will take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from bench.core.options import TUNING
from bench.core.specs import TrialRecord
from bench.core.trial_config import DEFAULTS, OPTIONS, POOLED, TrialConfig
from bench.profiling.environment import expected_device, several
from bench.results.loading import StoredTrial
from bench.results.software import is_stale
from bench.trials.forecasts.evaluation_cost import DataSize, Evaluation, Sizes, evaluation, size_of
from bench.trials.identity import trial_key
from bench.trials.plan import is_done

_STEP_TIME = tuple(name for name, option in OPTIONS.items() if option.step_time)
"""The fields that affect how fast a trial trains; the rest of the configuration may differ."""


@dataclass(frozen=True)
class Estimate:
    """The estimate of one planned trial."""

    config: TrialConfig
    status: str | None  # of the earlier record of the same trial
    done: bool  # whether `bench run` would skip it
    train_seconds: float | None  # None: unknown until a similar trial has run
    other_seconds: float | None  # compilation, evaluation and so on
    evaluation: Evaluation | None  # what it scores; None: the data aren't here yet, or it is speed-only
    stale: bool  # whether it is done under other versions of the backend or of Keras
    search_seconds: float | None  # of the search for the largest batch; None: unknown, or there is no search


def estimates(
    configs: Sequence[TrialConfig],
    trials: Sequence[StoredTrial],
    *,
    sizes: Sizes | None = None,
    devices: Sequence[str] = (),
    force: bool = False,
    rerun_stale: bool = False,
) -> list[Estimate]:
    """Look up what the records of the device say about each configuration.

    Nothing is decoded or hashed: the data are assumed to be those of the records.

    Args:
        sizes: those of data sets that are open; others are taken from the records.
        devices: the names of the types of device; that of a trial with the whole machine, unless given.
        force, rerun_stale: as in `plan`.
    """
    by_device: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        by_device.setdefault(trial.record.device, []).append(trial.record)
    here = [
        [record for one in devices or [expected_device()] for record in by_device.get(several(one, count), [])]
        for count in (config.devices_per_trial for config in configs)
    ]
    found = [size_of(config, sizes or {}, records) for config, records in zip(configs, here, strict=True)]
    return [_estimate(*known, force, rerun_stale) for known in zip(configs, found, here, strict=True)]


def _estimate(
    config: TrialConfig, size: DataSize | None, here: Sequence[TrialRecord], force: bool, rerun_stale: bool
) -> Estimate:
    wanted = config.to_dict()
    ended = [record for record in here if record.status == "ok"]
    alike = [record for record in ended if is_alike(record, wanted)]
    scored = evaluation(config, size, alike) if size and config.measure == "all" else None
    earlier = next((record for record in here if is_of(config, record, size)), None)
    done = earlier is not None and is_done(config, earlier)
    stale = done and earlier is not None and is_stale(earlier)
    return Estimate(
        config,
        status=earlier.status if earlier else None,
        done=done and not force and not (stale and rerun_stale),
        stale=stale,
        train_seconds=_train_seconds(config, alike),
        other_seconds=_other_seconds(alike or ended, scored),
        evaluation=scored,
        search_seconds=_search_seconds(wanted, ended) if config.find_batch_size else None,
    )


def is_alike(record: TrialRecord, wanted: Mapping[str, Any], names: Sequence[str] = _STEP_TIME) -> bool:
    found = {**DEFAULTS.to_dict(), **record.config}
    return all(found[name] == wanted[name] for name in names)


def is_of(config: TrialConfig, record: TrialRecord, size: DataSize | None) -> bool:
    """Tell whether a record is that of a configuration, if the data are those of the record."""
    if record.config.get("arch") != config.arch or record.repeat != config.repeat:
        return False
    images = size.images if size else {}
    fingerprint = str(record.dataset.get("fingerprint", ""))
    return trial_key(config, fingerprint, images, protocol=record.protocol_version) == record.key


def _train_seconds(config: TrialConfig, alike: Sequence[TrialRecord]) -> float | None:
    if config.measure == "speed":
        measured = [record.training["train_seconds"] for record in alike if record.training.get("train_seconds")]
        return median(measured) if measured else None
    if config.budget.unit == "seconds":
        return config.budget.amount
    rates = [
        record.training["train_seconds"] / record.training[config.budget.unit]
        for record in alike
        if record.training.get("train_seconds") and record.training.get(config.budget.unit)
    ]
    return config.budget.amount * median(rates) if rates else None


def _search_seconds(wanted: Mapping[str, Any], ended: Sequence[TrialRecord]) -> float | None:
    """The median time of earlier batch-size searches for this model, or for any model if there were none."""
    searches = [record for record in ended if record.memory.get("search_seconds")]
    names = [name for name in _STEP_TIME if name != "batch_size"]
    alike = [record for record in searches if is_alike(record, wanted, names)]
    return median(record.memory["search_seconds"] for record in alike or searches) if searches else None


def _other_seconds(records: Sequence[TrialRecord], scored: Evaluation | None) -> float | None:
    """Return the median time of everything but training; evaluation by the images to score where that is known."""
    if not records:
        return None
    if scored is None or scored.seconds is None:
        return median(map(other_seconds, records))
    return scored.seconds + median(max(0.0, other_seconds(r) - r.ledger.get("evaluate", 0.0)) for r in records)


def other_seconds(record: TrialRecord) -> float:
    apart = record.training.get("train_seconds", 0.0), record.memory.get("search_seconds", 0.0)
    return max(0.0, (record.wall_seconds or 0.0) - sum(apart) - record.ledger.get("wait", 0.0))


def table(estimates: Sequence[Estimate]) -> Table:
    """Make a table with one row per trial, in the order of the run; one column has all other options that vary."""
    told = differences([estimate.config for estimate in estimates])
    varied = any(told)
    table = Table(title=f"Planned trials: {len(estimates)}", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("architecture", "data set", "budget", *(["differs in"] if varied else []), "seed", "status"):
        table.add_column(heading, overflow="fold")
    table.add_column("training", justify="right")
    for estimate, text in zip(estimates, told, strict=True):
        config, seconds = estimate.config, estimate.train_seconds
        differs = [text] if varied else []
        budget = "speed-only" if config.measure == "speed" else str(config.budget)
        budget += ", tuning" if config.measure == "validation" else ""
        budget += ", largest batch" if config.find_batch_size else ""
        cells = (config.pair, config.dataset, budget, *differs, config.repetition, _state(estimate))
        time = "" if estimate.done else "unknown" if seconds is None else duration(seconds)
        table.add_row(*map(Text, cells), time)
    return table


def differences(configs: Sequence[TrialConfig]) -> list[str]:
    """Write for each configuration the fields that differ and have no column in a plan: `lr 0.001; resize crop`."""
    shown = {"arch", "backbone", "dataset", "budget", *POOLED, "find_batch_size"}
    shown |= {name for name, option in OPTIONS.items() if option.panel == TUNING}
    shown |= {"measure", "keep_weights", "tuning_seconds"}
    values = [config.to_dict() for config in configs]
    varied = [n for n in (values[0] if values else {}) if n not in shown and any(v[n] != values[0][n] for v in values)]
    return [
        "as tuning chooses"
        if one["tune"] and one["tuning_seconds"] is None
        else "; ".join(f"{OPTIONS[name].name} {_text(one[name])}" for name in varied)
        for one in values
    ]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items()) or "none"
    if value is None:
        return "none"
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _state(estimate: Estimate) -> str:
    if not estimate.status:
        return "to run"
    notes = [estimate.status] * (estimate.status != "ok" or not estimate.done) + ["other versions"] * estimate.stale
    state = "done" if estimate.done else "to run again"
    return f"{state} ({', '.join(notes)})" if notes else state


def summary(estimates: Sequence[Estimate], at_once: int = 1) -> str:
    """Write `Done: 1, to run: 3. Time: about 12 min, of which training takes 10 min.`, and the searches to come."""
    left = [estimate for estimate in estimates if not estimate.done]
    first = " ".join(filter(None, (_trials_to_run(estimates, left), _searches(left), _shared(left, at_once))))
    return "\n".join([first, *_evaluations(left)])


def _evaluations(left: Sequence[Estimate]) -> list[str]:
    """Write what evaluation costs, a line for each data set and evaluation size, whatever the fold."""
    found: dict[tuple[object, ...], list[Evaluation]] = {}
    for config, scored in ((one.config, one.evaluation) for one in left):
        if scored:
            alike = (config.folds, *config.limits.values()) if config.folds else (str(scored),)
            found.setdefault((config.dataset, config.eval_size == "native", *alike), []).append(scored)
    return [
        f"Evaluation of a trial on {dataset}{' at native size' if native else ''}"
        f"{_range(scored)}; {_each([one.seconds for one in scored])}."
        for (dataset, native, *_), scored in found.items()
    ]


def _range(scored: Sequence[Evaluation]) -> str:
    """Write `: 10 validations of 40 images, a test of 80 images`, or the least and most of the folds."""
    least, most = (str(choose(scored, key=lambda one: one.images)) for choose in (min, max))
    return f": {least}" if least == most else f", by fold: from {least} to {most}"


def _each(seconds: Sequence[float | None]) -> str:
    known = [each for each in seconds if each is not None]
    if not known:
        return "its time is unknown until a similar trial has run"
    low, high = map(duration, (min(known), max(known)))
    return f"about {low}" if low == high else f"{low} to {high}"


def _shared(left: Sequence[Estimate], at_once: int) -> str:
    """Write `With 4 trials at once: 3 min.`, or only how many run at once if the time isn't known."""
    if at_once == 1 or not left:
        return ""
    known = [(e.train_seconds, e.other_seconds, e.search_seconds or 0.0) for e in left]
    times = [train + other + search for train, other, search in known if train is not None and other is not None]
    if len(times) < len(left):
        return f"{at_once} trials run at once."
    alone = any(estimate.config.measure_alone for estimate in left)
    more = ", and what they wait for each other's measurements" if alone else ""
    return f"With {at_once} trials at once: {duration(max(sum(times) / at_once, *times))}{more}."


def _searches(left: Sequence[Estimate]) -> str:
    """Write `The search for the largest batch in 2 of them takes about 5 min more.`"""
    searching = [estimate for estimate in left if estimate.config.find_batch_size]
    if not searching:
        return ""
    start = f"The search for the largest batch in {len(searching)} of them"
    known = [e.search_seconds for e in searching if e.search_seconds is not None]
    if len(known) == len(searching):
        return f"{start} takes about {duration(sum(known))} more."
    return f"{start} takes an unknown time until one has run."


def _trials_to_run(estimates: Sequence[Estimate], left: Sequence[Estimate]) -> str:
    stale = sum(estimate.done and estimate.stale for estimate in estimates)
    counts = f"Done: {len(estimates) - len(left)}{stale_note(stale)}, to run: {len(left)}."
    if not left:
        return counts
    known = [e.train_seconds for e in left if e.train_seconds is not None]
    if len(known) < len(left):
        first = f"{duration(sum(known))} of training for {len(known)} of them, and " if known else ""
        return f"{counts} Time: {first}unknown for {len(left) - len(known)} of them until a similar trial has run."
    training = sum(known)
    others = [e.other_seconds for e in left if e.other_seconds is not None]
    if len(others) < len(left):
        return f"{counts} Time: {duration(training)} of training; the rest is unknown until a trial has run."
    around = sum(others)
    return (
        f"{counts} Time: about {duration(training + around)}: "
        f"{duration(training)} of training, {duration(around)} for everything else."
    )


def stale_note(count: int) -> str:
    """Write how many of the done trials ran on other versions; empty for none."""
    return f" ({count} of them under other versions; --rerun-stale runs them again)" if count else ""


def duration(seconds: float) -> str:
    """Write a time as `45 s`, `12 min` or `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
