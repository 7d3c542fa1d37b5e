"""The plot of how long single calls took, from the samples that the trials kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.profiling.clock import timing_table
from bench.report.plots.figures import GREY, SIZE, Looks, Plot, add_tip, legend, our_style, plot_text, save
from bench.results.analysis.configurations import Configuration
from bench.results.clean_text import clean

KIND = "latency"
TITLE = "Latency of one image, call by call"
_SHARES = np.linspace(0, 1, 201)
_MOST_ROWS = 50

Calls = Mapping[str, NDArray[np.float64]]  # by label: the milliseconds of all calls, over all trials


@dataclass(frozen=True)
class Latencies:
    """The plot of some rows, and the rows whose calls were not recorded."""

    plot: Plot | None
    not_recorded: tuple[str, ...]


def latencies(
    rows: Sequence[tuple[str, Configuration]], looks: Looks, folder: Path, name: str, problems: list[str]
) -> Latencies:
    """Draw the calls of labelled configurations as NAME-latency.svg and .png; unreadable files go to `problems`."""
    calls = {label: _calls(member, problems) for label, member in rows[:_MOST_ROWS]}
    known = {label: some for label, some in calls.items() if len(some)}
    missing = tuple(label for label, some in calls.items() if not len(some))
    if not known:
        return Latencies(None, missing)
    with our_style():
        return Latencies(save(_draw(looks, known), TITLE, folder, f"{name}-{KIND}"), missing)


def _calls(member: Configuration, problems: list[str]) -> NDArray[np.float64]:
    return 1000 * np.concatenate([np.zeros(0), *_seconds(member.timed["folder"], problems)])


def _seconds(folders: Iterable[str], problems: list[str]) -> Iterable[NDArray[np.float64]]:
    for folder in folders:
        try:
            samples = timing_table.read_timings(folder)
        except BenchError as error:
            problems.append(clean(str(error)))
            continue
        if timing_table.LATENCY in samples:
            yield samples[timing_table.LATENCY].seconds


def _draw(looks: Looks, calls: Calls) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for label, some in calls.items():
        look = looks.get(label)
        (line,) = axes.plot(
            np.quantile(some, _SHARES),
            _SHARES,
            color=look.color if look else GREY,
            linewidth=1.6 if look else 0.8,
            alpha=1.0 if look else 0.6,
        )
        middle, high = np.quantile(some, [0.5, 0.95])
        add_tip(line, f"{plot_text(label)}: p50 {middle:.3g} ms, p95 {high:.3g} ms, {len(some)} calls")
    _scale(axes, calls)
    axes.set(xlabel="latency of one image (ms)", ylabel="share of calls that took no longer", ylim=(0, 1))
    legend(figure, looks, list(calls), "-")
    return figure


def _scale(axes: Axes, calls: Calls) -> None:
    """Set a logarithmic scale with ticks at 1, 2, 5, ..., unless the calls differ too little to have one on it."""
    if max(some.max() for some in calls.values()) > 3 * min(some.min() for some in calls.values()):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
