"""Quality against what it costs, with the configurations that no other beats in both."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from bench.report.plots.figures import GREY, SIZE, Looks, add_tip, legend
from bench.report.table_model import Group, Row

COSTS = {  # column: what it is called, whether more of it is better; parameters are drawn in millions
    "train_images_per_second": ("training speed (images/s)", True),
    "inference_images_per_second": ("inference speed (images/s)", True),
    "latency_ms_p95": ("latency p95 (ms)", False),
    "peak_memory_mib": ("peak memory (MiB)", False),
    "joules_per_1000_inferences": ("energy (J per 1,000 images of inference)", False),
    "joules_per_1000_train_images": ("energy (J per 1,000 images of training)", False),
    "params": ("parameters (M)", False),
    "gflops": ("GFLOPs of a forward pass of one image", False),
}
_MOST_TIPS = 200  # grey points that say which they are, best first


def draw_trade_off(group: Group, looks: Looks, column: str) -> Figure:
    """A point a configuration, with the score's 95 % interval where there is one and the cost's spread.

    On the page the point under the pointer says which it is.
    """
    text, high_is_better = COSTS[column]
    rows = [row for row in group.ranked if row.configuration.spread(column).n]
    scale = 1e6 if column == "params" else 1.0
    x = np.array([row.configuration.spread(column).mean for row in rows]) / scale
    y = np.array([row.configuration.spread(group.score).mean for row in rows])
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    _draw_front(axes, x, y, high_is_better)
    across = [(row.configuration.spread(column).sd or 0.0) / scale or None for row in rows]
    tips = [f"{row.label}: {row.cells[group.score].text}; {text} {at:,.4g}" for row, at in zip(rows, x, strict=True)]
    _draw_points(axes, group.score, looks, rows, x, y, across, tips)
    axes.margins(0.12)
    if x.min() > 0 and x.max() > 10 * x.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.12g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif x.min() >= 0:
        axes.set_xlim(left=max(axes.get_xlim()[0], 0.0))
    axes.set(xlabel=text, ylabel=f"test {group.columns[group.score][0]}")
    front = Line2D([], [], color=GREY, linestyle="--", linewidth=1.1, label="Pareto front")
    legend(figure, looks, {row.label for row in rows}, "", more=[front])
    return figure


def pareto(x: np.ndarray, y: np.ndarray, high_is_better: bool) -> np.ndarray:
    """Places of the points that none beats in both, from the cheapest to the dearest: (N,), (N,) -> (F,)."""
    cost = -x if high_is_better else x
    order = np.lexsort((-y, cost))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(y[order])[:-1]])
    return order[y[order] > best_before]


def _draw_front(axes: Axes, x: np.ndarray, y: np.ndarray, high_is_better: bool) -> None:
    front = pareto(x, y, high_is_better)
    axes.step(x[front], y[front], where="post", color=GREY, linestyle="--", linewidth=1.1, zorder=1)


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
            xerr=spread and [[min(spread, max(across, 0.0))], [spread]],  # a cost is never below 0
            yerr=_half_interval(row, score),
            fmt=look.marker,
            color=look.color,
            markersize=8,
            markeredgecolor="none",
            elinewidth=1.1,
            zorder=3,
        )
        add_tip(drawn.lines[0], tip)


def _half_interval(row: Row, score: str) -> float | None:
    if row.uncertainty is None:
        return row.configuration.spread(score).sd
    if len(row.uncertainty.scores) < 2:
        return None
    half = row.uncertainty.interval.high - row.uncertainty.mean
    return half if np.isfinite(half) else None
