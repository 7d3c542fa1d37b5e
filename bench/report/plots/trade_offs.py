"""Plots of quality against cost, with the Pareto front."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from bench.report.plots.figures import GREY, SIZE, Looks, add_tip, legend, reach
from bench.report.table_model import Group, Row
from bench.results.quantities import shown_in
from bench.results.quantities.quantity import TRADE_OFF, Quantity

COSTS = shown_in(TRADE_OFF)
_MOST_TIPS = 200  # grey points with a tooltip, best first


def draw_trade_off(group: Group, looks: Looks, cost: Quantity) -> Figure:
    """Draw a point per configuration, with the score's 95 % interval, if there is one, and the cost's spread.

    On the page, a tooltip names the configuration of a point.
    """
    text, scale, metric = cost.axis_title, cost.axis_scale, group.metric
    rows = [row for row in group.ranked if row.configuration.spread(cost.name).n]
    x = np.array([row.configuration.spread(cost.name).mean for row in rows]) / scale
    y = np.array([row.configuration.spread(metric.name).mean for row in rows])
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    front = pareto(cost.goodness(x), metric.goodness(y))
    axes.step(x[front], y[front], where="post", color=GREY, linestyle="--", linewidth=1.1, zorder=1)
    across = [(row.configuration.spread(cost.name).sd or 0.0) / scale or None for row in rows]
    tips = [f"{row.label}: {row.cells[metric.name].text}; {text} {at:,.4g}" for row, at in zip(rows, x, strict=True)]
    _draw_points(axes, metric.name, looks, rows, x, y, across, tips)
    axes.margins(0.12)
    if x.min() > 0 and x.max() > 10 * x.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.12g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif x.min() >= 0:
        axes.set_xlim(left=max(axes.get_xlim()[0], 0.0))
    axes.set(xlabel=text, ylabel=f"test {metric.heading_with_unit}")
    line = Line2D([], [], color=GREY, linestyle="--", linewidth=1.1, label="Pareto front")
    legend(figure, looks, {row.label for row in rows}, "", more=[line])
    return figure


def pareto(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices of the points that no other beats in both, best x first: (N,), (N,) -> (F,)."""
    order = np.lexsort((-y, -x))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(y[order])[:-1]])
    return order[y[order] > best_before]


def _draw_points(
    axes: Axes,
    score: str,
    looks: Looks,
    rows: Sequence[Row],
    x: np.ndarray,
    y: np.ndarray,
    spreads: Sequence[float | None],
    tips: Sequence[str],
) -> None:
    grey = [place for place, row in enumerate(rows) if row.label not in looks]
    plain: dict[str, Any] = {"color": GREY, "markersize": 7, "markeredgecolor": "none", "zorder": 2}
    for place in grey[:_MOST_TIPS]:
        add_tip(axes.plot(x[place], y[place], ".", **plain)[0], tips[place])
    axes.plot(x[grey[_MOST_TIPS:]], y[grey[_MOST_TIPS:]], ".", **plain)
    for row, across, height, spread, tip in zip(rows, x, y, spreads, tips, strict=True):
        if (look := looks.get(row.label)) is None:
            continue
        drawn = axes.errorbar(
            across,
            height,
            xerr=spread and [[min(spread, across)], [spread]],  # a cost is never below 0
            yerr=_around(row, score),
            fmt=look.marker,
            color=look.color,
            markersize=8,
            markeredgecolor="none",
            elinewidth=1.1,
            zorder=3,
        )
        add_tip(drawn.lines[0], tip)


def _around(row: Row, score: str) -> list[list[float]] | None:
    """Return how far the bar reaches below and above: the interval, or the standard deviation where there is none."""
    if row.uncertainty is not None:
        below, above = reach(row.uncertainty)
        return [[below], [above]] if below + above else None
    spread = row.configuration.spread(score).sd
    return None if spread is None else [[spread], [spread]]
