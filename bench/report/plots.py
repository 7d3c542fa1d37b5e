"""The report's plots, made by seaborn and matplotlib, as files and as SVG that takes the page's colours."""

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.lines
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from bench.records.text import shorten
from bench.report.leaderboard import Group, Row

HIGHLIGHTED = 10  # configurations with a colour of their own; the others are grey
_INK, _LINE, _PAPER, _GREY = "#1f2329", "#d0d7df", "#fffffe", "#9aa3ad"
# Told apart by colour-blind readers, and at least 2.5 : 1 against white and against the dark page (Wong 2011, darker yellow).
_COLORS = ("#2f7fc1", "#e07b00", "#12a079", "#cc5fa3", "#d64545", "#7d6bd6", "#8c7a00", "#3aa5d6", "#a0643c", "#6b8e23")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
_STYLE = {
    **{"text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _LINE, "xtick.color": _INK, "ytick.color": _INK},
    **{"grid.color": _LINE, "grid.linewidth": 0.6, "axes.grid": True, "axes.axisbelow": True, "axes.titlesize": 11},
    **{"figure.facecolor": _PAPER, "axes.facecolor": _PAPER, "legend.frameon": False, "legend.fontsize": 9},
    **{"axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none", "svg.hashsalt": "segbench"},
    **{"font.size": 10, "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9, "font.family": "DejaVu Sans"},
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
        histories: label of a row -> one frame a seed, as history.jsonl has it.
    """
    plots = []
    with mpl.rc_context({**sns.axes_style("ticks"), **_STYLE}):
        curves = _mean_curves(group.ranked, histories)
        for x, text in (("train_seconds", "training seconds"), ("images", "images trained on")):
            if len(curves):
                figure = _curves(group.ranked, curves, x, text)
                plots.append(_save(figure, f"Validation mean IoU against {text}", folder, f"{name}-curves-{x}"))
        for column, text in (
            ("train_images_per_second", "training speed (images/s)"),
            ("peak_memory_mib", "peak memory (MiB)"),
        ):
            rows = [row for row in group.ranked if row.configuration.spread(column).n]
            if rows:
                figure = _tradeoff(group.ranked, rows, column, text)
                plots.append(_save(figure, f"Test mean IoU against {text}", folder, f"{name}-{column}"))
    return plots


def _mean_curves(rows: Sequence[Row], histories: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    """One line a configuration, seed and validation; x is the mean over the seeds at the n-th validation."""
    parts = []
    for row in rows:
        for seed, history in enumerate(histories.get(row.label, [])):
            parts.append(history.assign(label=row.label, seed=seed, validation=range(len(history))))
    if not parts:
        return pd.DataFrame()
    curves = pd.concat(parts, ignore_index=True)
    for x in ("train_seconds", "images"):
        curves[x] = curves.groupby(["label", "validation"])[x].transform("mean")
    return curves.dropna(subset=["train_seconds", "images", "val_mean_iou"])


def _curves(rows: Sequence[Row], curves: pd.DataFrame, x: str, text: str) -> Figure:
    figure, axes = _figure()
    colored = [row.label for row in rows[:HIGHLIGHTED]]
    for _, some in curves[~curves["label"].isin(colored)].groupby("label"):
        mean = some.groupby("validation")[[x, "val_mean_iou"]].mean()
        axes.plot(mean[x], mean["val_mean_iou"], color=_GREY, linewidth=0.8, alpha=0.6, zorder=1)
    present = [label for label in colored if label in set(curves["label"])]
    palette = dict(zip(colored, _COLORS, strict=False))
    sns.lineplot(
        curves[curves["label"].isin(present)],
        **{"x": x, "y": "val_mean_iou", "hue": "label", "style": "label", "hue_order": present, "style_order": present},
        **{"palette": {label: palette[label] for label in present}, "errorbar": "sd", "ax": axes, "legend": False},
        **{"markers": {label: _MARKERS[colored.index(label)] for label in present}, "dashes": False},
        **{"markersize": 5, "markeredgecolor": "none", "linewidth": 1.6, "err_kws": {"alpha": 0.15, "linewidth": 0}},
    )
    axes.set(xlabel=text, ylabel="validation mean IoU", xlim=(0, None))
    _legend(axes, rows, present)
    return figure


def _tradeoff(ranked: Sequence[Row], rows: Sequence[Row], column: str, text: str) -> Figure:
    figure, axes = _figure()
    values = []
    for place, row in enumerate(ranked):
        if row not in rows:
            continue
        across, score = row.configuration.spread(column), row.configuration.spread("mean_iou")
        color = _COLORS[place] if place < HIGHLIGHTED else _GREY
        marker = _MARKERS[place] if place < HIGHLIGHTED else "."
        axes.errorbar(
            *(across.mean, score.mean),
            **{"xerr": across.sd or None, "yerr": score.sd or None, "fmt": marker, "color": color, "markersize": 8},
            **{"markeredgecolor": "none", "elinewidth": 1.1, "alpha": 0.95, "zorder": 3 if place < HIGHLIGHTED else 2},
        )
        values.append(across.mean)
    if min(values) > 0 and max(values) > 10 * min(values):
        axes.set_xscale("log")
    axes.margins(0.12)
    axes.set(xlabel=text, ylabel="test mean IoU")
    _legend(axes, ranked, [row.label for row in rows if row in ranked[:HIGHLIGHTED]])
    return figure


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    return figure, figure.subplots()


def _legend(axes: Axes, rows: Sequence[Row], labels: Sequence[str]) -> None:
    """Below the plot, best first, so that names never cover points."""
    order = [row.label for row in rows[:HIGHLIGHTED]]
    handles = []
    for label in labels:
        place = order.index(label)
        style = {"color": _COLORS[place], "marker": _MARKERS[place], "linestyle": "-", "markersize": 6}
        handles.append(mpl.lines.Line2D([], [], **style, markeredgecolor="none", label=plot_text(label)))  # type: ignore[arg-type]
    if len(rows) > len(order):
        handles.append(mpl.lines.Line2D([], [], color=_GREY, marker=".", label=f"{len(rows) - len(order)} more"))
    columns = 1 if max((len(h.get_label()) for h in handles), default=0) > 32 else 2  # type: ignore[arg-type]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=columns)  # type: ignore[call-arg]


def plot_text(text: str, length: int = 60) -> str:
    """Text without matplotlib's markup ($) and with only the characters that its font has."""
    known = _characters()
    return "".join(c if ord(c) in known else "?" for c in shorten(text, length)).replace("$", r"\$")


@cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def _save(figure: Figure, title: str, folder: Path, name: str) -> Plot:
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    with warnings.catch_warnings():
        # Names that are too long for the figure: the plot is still made, the legend is cut.
        warnings.filterwarnings("ignore", message="constrained_layout not applied", category=UserWarning)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        png = folder / f"{name}.png"
        figure.savefig(png, dpi=130, metadata={"Software": None})
    svg = folder / f"{name}.svg"
    svg.write_text(text.getvalue(), encoding="utf-8")
    return Plot(title, _for_page(text.getvalue(), name), (svg, png))


def _for_page(svg: str, name: str) -> str:
    """The SVG element alone, its identifiers unique in the page, its ink and paper the page's."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 aria-hidden="true" focusable="false"', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace(_INK, "currentColor").replace(_LINE, "var(--line)").replace(_PAPER, "none")
