"""The report's plots, made by seaborn and matplotlib, as files and as SVG that takes the page's colours."""

import io
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D

from bench.records.text import shorten
from bench.report.files import remove_others, write_whole
from bench.report.leaderboard import Group, Row

HIGHLIGHTED = 10  # configurations with a colour of their own; the others are grey
_CURVES = {"train_seconds": "training seconds", "images": "images trained on"}
_TRADE_OFFS = {"train_images_per_second": "training speed (images/s)", "peak_memory_mib": "peak memory (MiB)"}
_SIZE = (5.3, 4.1)  # inches
_INK, _LINE, _PAPER, _GREY = "#1f2329", "#d0d7df", "#fffffe", "#9aa3ad"
# In the middle of the scale of brightness, so that they are seen on a light page and on a dark one.
_COLORS = ("#2f7fc1", "#e07b00", "#12a079", "#cc5fa3", "#d64545", "#7d6bd6", "#8c7a00", "#3aa5d6", "#a0643c", "#6b8e23")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
_RING: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 10, "markerfacecolor": "none"}
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _LINE,
    "axes.facecolor": _PAPER,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": _PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "segbench",  # the same identifiers each time
    "text.color": _INK,
    "xtick.color": _INK,
    "xtick.labelsize": 9,
    "ytick.color": _INK,
    "ytick.labelsize": 9,
}


@dataclass(frozen=True)
class Plot:
    """A plot on disk and for the page."""

    title: str
    svg: str  # to stand in a HTML page: no colours of its own for text and lines
    files: tuple[Path, ...]


def group_plots(group: Group, histories: dict[str, list[pd.DataFrame]], folder: Path, name: str) -> list[Plot]:
    """Learning curves and trade-offs of a group, written to `folder` as NAME-....svg and .png.

    Args:
        histories: label of a row -> one frame a seed, as history.jsonl has it, with `frozen` (whether the encoder was).
    """
    plots = []
    rows = group.ranked
    curves = _mean_curves(rows, histories)
    with mpl.rc_context({**sns.axes_style("ticks"), **_STYLE}):
        for x, text in _CURVES.items() if len(curves) else ():
            figure = _curves(rows, curves, x, text)
            plots.append(_save(figure, f"Validation mean IoU against {text}", folder, f"{name}-curves-{x}"))
        for column, text in _TRADE_OFFS.items():
            if any(row.configuration.spread(column).n for row in rows):
                figure = _trade_off(rows, column, text)
                plots.append(_save(figure, f"Test mean IoU against {text}", folder, f"{name}-{column}"))
    return plots


def remove_old_plots(folder: Path, plots: Sequence[Plot]) -> None:
    """Remove the plots of an earlier report that this one does not have; other files stay."""
    ours = re.compile(rf"\d+-[a-z0-9-]+-({'|'.join([*(f'curves-{x}' for x in _CURVES), *_TRADE_OFFS])})\.(svg|png)")
    remove_others(folder, ours, {file for plot in plots for file in plot.files})


def _mean_curves(rows: Sequence[Row], histories: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    """One line a configuration, seed and validation; x is the mean over the seeds at the n-th validation."""
    parts = [
        history.assign(label=row.label, seed=seed, validation=range(len(history)))
        for row in rows
        for seed, history in enumerate(histories.get(row.label, []))
    ]
    if not parts:
        return pd.DataFrame()
    curves = pd.concat(parts, ignore_index=True)
    for x in _CURVES:
        curves[x] = curves.groupby(["label", "validation"])[x].transform("mean")
    return curves.dropna(subset=[*_CURVES, "val_mean_iou"])


def _curves(rows: Sequence[Row], curves: pd.DataFrame, x: str, text: str) -> Figure:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    known = set(curves["label"])
    labels = [row.label for row in rows[:HIGHLIGHTED] if row.label in known]
    for _, some in curves[~curves["label"].isin(labels)].groupby("label"):
        mean = some.groupby("validation")[[x, "val_mean_iou"]].mean()
        axes.plot(mean[x], mean["val_mean_iou"], color=_GREY, linewidth=0.8, alpha=0.6, zorder=1)
    sns.lineplot(
        curves[curves["label"].isin(labels)],
        x=x,
        y="val_mean_iou",
        hue="label",
        hue_order=labels,
        palette={row.label: color for row, color in zip(rows, _COLORS, strict=False) if row.label in known},
        style="label",
        style_order=labels,
        markers={row.label: marker for row, marker in zip(rows, _MARKERS, strict=False) if row.label in known},
        dashes=False,
        errorbar="sd",
        err_kws={"alpha": 0.15, "linewidth": 0},
        markersize=5,
        markeredgecolor="none",
        linewidth=1.6,
        legend=False,
        ax=axes,
    )
    axes.set(xlabel=text, ylabel="validation mean IoU", xlim=(0, None))
    _legend(figure, rows, known, "-", rings=_ring_frozen(axes, rows, curves, x))
    return figure


def _ring_frozen(axes: Axes, rows: Sequence[Row], curves: pd.DataFrame, x: str) -> bool:
    """A ring around each highlighted validation at which the encoder was frozen; whether there is one."""
    frozen = curves[curves["frozen"].astype(bool)].groupby(["label", "validation"])[[x, "val_mean_iou"]].mean()
    known = frozen.index.unique("label")
    for row, color in zip(rows, _COLORS, strict=False):
        if row.label in known:
            points = frozen.loc[row.label]
            axes.plot(points[x], points["val_mean_iou"], color=color, **_RING)
    return len(frozen) > 0


def _trade_off(rows: Sequence[Row], column: str, text: str) -> Figure:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    points = {row.label: row.configuration.spread(column) for row in rows}
    for place, row in enumerate(rows):
        across, score = points[row.label], row.configuration.spread("mean_iou")
        axes.errorbar(
            across.mean,
            score.mean,
            xerr=across.sd or None,
            yerr=score.sd or None,
            fmt=_MARKERS[place] if place < HIGHLIGHTED else ".",
            color=_COLORS[place] if place < HIGHLIGHTED else _GREY,
            markersize=8,
            markeredgecolor="none",
            elinewidth=1.1,
            zorder=3 if place < HIGHLIGHTED else 2,
        )
    values = [point.mean for point in points.values() if point.n]
    if min(values) > 0 and max(values) > 10 * min(values):
        axes.set_xscale("log")
    axes.margins(0.12)
    axes.set(xlabel=text, ylabel="test mean IoU")
    _legend(figure, rows, {label for label, point in points.items() if point.n}, "")
    return figure


def _legend(
    figure: Figure, rows: Sequence[Row], shown: Collection[str], line: Literal["-", ""], *, rings: bool = False
) -> None:
    """Below the plot, best first, so that names never cover points."""
    look = zip(rows, _COLORS, _MARKERS, strict=False)
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle=line, markeredgecolor="none", label=plot_text(row.label))
        for row, color, marker in look
        if row.label in shown
    ]
    more = sum(row.label in shown for row in rows[HIGHLIGHTED:])
    if more:
        handles.append(Line2D([], [], color=_GREY, marker=".", linestyle=line, label=f"{more} more"))
    if rings:
        handles.append(Line2D([], [], color=_GREY, label="encoder frozen", **_RING))
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if longest > 32 else 2)


def plot_text(text: str, length: int = 60) -> str:
    """Text without matplotlib's markup ($) and with only the characters that its font has."""
    known = _characters()
    return "".join(c if ord(c) in known else "?" for c in shorten(text, length)).replace("$", r"\$")


@cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def _save(figure: Figure, title: str, folder: Path, name: str) -> Plot:
    text, picture = io.StringIO(), io.BytesIO()
    with warnings.catch_warnings():
        # Names that are too long for the figure: the plot is still made, the legend is cut.
        warnings.filterwarnings("ignore", message="constrained_layout not applied", category=UserWarning)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(picture, format="png", dpi=130, metadata={"Software": None})
    svg = write_whole(folder / f"{name}.svg", text.getvalue().encode())
    png = write_whole(folder / f"{name}.png", picture.getvalue())
    return Plot(title, _for_page(text.getvalue(), name), (svg, png))


def _for_page(svg: str, name: str) -> str:
    """The SVG element alone, its identifiers unique in the page, its ink and paper the page's."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 aria-hidden="true" focusable="false"', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace(_INK, "currentColor").replace(_LINE, "var(--line)").replace(_PAPER, "none")
