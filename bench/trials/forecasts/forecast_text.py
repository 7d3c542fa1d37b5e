"""Write a forecast of a grid for a terminal: a table of its configurations, and lines about all of them."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from bench.results.clean_text import clean, shorten
from bench.trials.estimate import differences, duration
from bench.trials.forecasts.forecast import Forecast, Range, ends, in_order, total

UNKNOWN = "not probed"
_COARSE = 600.0  # seconds above which minutes tell enough


def table(found: Sequence[Forecast]) -> Table:
    """Make a table with a row per configuration, the shortest trial first."""
    told = differences([one.config for one in found])
    varied = any(told)
    made = Table(title=f"Configurations: {len(found)}", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("architecture", "data set", "budget", *(["differs in"] if varied else [])):
        made.add_column(heading, overflow="fold")
    for heading in ("trials", "done", "one trial", "memory to fit (MiB)"):
        made.add_column(heading, justify="right")
    for one, differs in zip(found, told, strict=True):
        config = one.config
        cells = (config.pair, config.dataset, str(config.budget), *([differs] if varied else []))
        time = "doesn't fit" if not one.fits else "fails" if one.problem else between(one.trial)
        memory = UNKNOWN if one.memory_mib is None else f"{one.memory_mib:,.0f}"
        made.add_row(*map(Text, cells), str(one.trials), str(one.done), time, "" if one.problem else memory)
    return made


def lines(
    found: Sequence[Forecast],
    *,
    price_per_hour: float | None,
    free_mib: float,
    at_once: int = 1,
    on_shares: bool = False,
) -> list[str]:
    """Write the time, the order, the disk, the money, and what doesn't run.

    Args:
        price_per_hour: of the machine, in any currency; None for no line about money.
        free_mib: on the disk of the results folder.
        at_once, on_shares: as in `total`.
    """
    unknown = sum(one.trials for one in found if one.runs and one.trial is None)
    left, done = sum(one.trials for one in found), sum(one.done for one in found)
    time = total(found, at_once, on_shares=on_shares)
    texts = [f"Trials: {left} to run, {done} done."]
    if left > unknown and time.middle:
        texts.append(f"Time: about {between(time)}, {_how(at_once, on_shares)}.")
        texts += _order(found, at_once)
    texts += _disk(found, free_mib)
    if price_per_hour is not None and time.middle:
        money = [f"{price_per_hour * seconds / 3600:.2f}" for seconds in (time.middle, time.low, time.high)]
        texts.append(f"Money: about {money[0]} ({money[1]} to {money[2]}) at {price_per_hour:g} an hour.")
    texts += [_problem(one) for one in found if one.problem]
    if unknown:
        texts.append(f"Not known for {unknown} of the trials: `bench plan` without --dry-run probes them.")
    return texts


def _how(at_once: int, on_shares: bool) -> str:
    if at_once == 1:
        return "one trial after the other"
    shares = "; their times are those with all cores, and the longest is as if sharing them gained nothing"
    return f"{at_once} trials at once{shares if on_shares else ''}"


def _order(found: Sequence[Forecast], at_once: int) -> list[str]:
    """Say when the first answers come, in the order that gives them soonest."""
    when = ends(found, at_once)
    if not when or any(one.trial is None for one in in_order(found)):
        return []
    configurations = sum(one.runs for one in found)
    text = f"In this order, one trial of each first, the first trial ends after about {duration(when[0])}"
    if 1 < configurations < len(when):
        text += f", one trial of each of the {configurations} configurations after {duration(when[configurations - 1])}"
    return [f"{text}, all after {duration(when[-1])}." if len(when) > 1 else f"{text}."]


def _disk(found: Sequence[Forecast], free_mib: float) -> list[str]:
    """Say how much the records take; of each configuration one trial keeps its weights, or each of them."""
    running = [one for one in found if one.runs and one.files_mib is not None]
    if not running:
        return []
    weights = sum((one.weights_mib or 0.0) * (one.trials if one.config.keep_weights == "all" else 1) for one in running)
    mib = sum(one.trials * (one.files_mib or 0.0) for one in running) + weights
    short = "" if mib < free_mib else ", which is NOT enough"
    return [f"Disk: at most {mib:,.1f} MiB, of which weights {weights:,.1f}; {free_mib:,.0f} MiB are free{short}."]


def _problem(one: Forecast) -> str:
    what = "doesn't fit" if not one.fits else "doesn't run"
    size = "x".join(map(str, one.config.input_size))
    reason = shorten(clean(one.problem), 300)
    return f"{one.config.pair} at {size}, batch {one.config.batch_size}, {what}: {reason}"


def between(time: Range | None) -> str:
    """Write a time with its range: `12 min (10 min to 15 min)`."""
    if time is None:
        return UNKNOWN
    write = duration if time.high > _COARSE else "{:.0f} s".format  # whole minutes would hide a short range
    low, middle, high = map(write, (time.low, time.middle, time.high))
    return middle if low == high else f"{middle} ({low} to {high})"
