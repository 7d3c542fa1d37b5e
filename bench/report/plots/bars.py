"""Bar plots and the like: the time ledger, the IoU of each class, and the spread over the test images."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.report.plots.figures import COLORS, GREY, SIZE, plot_text
from bench.report.table_model import Group, Row

MOST = 20  # configurations in a figure, best first
PHASES = ("startup", "prepare", "build", "compile", "train", "evaluate", "profile", "other", "save", "lost", "wait")
_LENGTH = 34  # characters of a row's label


def has_ledger(group: Group) -> bool:
    """Return whether any ranked row has a ledger."""
    return any(row.configuration.spread(f"ledger_{phase}_seconds").n for row in group.ranked for phase in PHASES)


def draw_ledger(rows: Sequence[Row]) -> Figure:
    """Draw the seconds of each phase of a trial, averaged over its trials, as stacked bars."""
    rows = rows[:MOST]
    figure = _figure(len(rows))
    axes = figure.subplots()
    left = np.zeros(len(rows))
    for phase, color in zip(PHASES, COLORS, strict=False):
        seconds = np.nan_to_num([row.configuration.spread(f"ledger_{phase}_seconds").mean for row in rows])
        if seconds.any():
            axes.barh(range(len(rows)), seconds, left=left, color=color, edgecolor="none", label=phase, height=0.7)
        left = left + seconds
    axes.set_yticks(range(len(rows)), _names(rows))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="seconds of a trial, mean over its seeds and folds")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def draw_classes(group: Group) -> Figure:
    """Draw the IoU of each class as a heat map with a row per configuration."""
    rows = group.ranked[:MOST]
    values = [[row.configuration.spread(name).mean for name in group.classes] for row in rows]
    figure = _figure(len(rows))
    axes = figure.subplots()
    sns.heatmap(
        pd.DataFrame(values, index=_names(rows), columns=[plot_text(name, 14) for name in group.classes.values()]),
        annot=len(group.classes) <= 12,
        fmt=".2f",
        annot_kws={"fontsize": 9},
        cmap=sns.light_palette(COLORS[2], as_cmap=True),
        vmin=0,
        vmax=1,
        cbar=False,  # a colour bar would be a raster image
        ax=axes,
    )
    axes.grid(visible=False)
    axes.set(xlabel="", ylabel="")
    return figure


def draw_images(rows: Sequence[Row], scores: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw box plots of the mean IoU of each image, averaged over the trials that tested it.

    Args:
        scores: the images' scores by label, (images,).
    """
    rows = [row for row in rows if row.label in scores][:MOST]
    figure = _figure(len(rows))
    axes = figure.subplots()
    axes.boxplot(
        [scores[row.label][~np.isnan(scores[row.label])] for row in rows],
        orientation="horizontal",
        tick_labels=_names(rows),
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": COLORS[0], "alpha": 0.35, "edgecolor": GREY},
        medianprops={"color": COLORS[1], "linewidth": 1.6},
        whiskerprops={"color": GREY},
        capprops={"color": GREY},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
    )
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="mean IoU of an image")
    return figure


def _figure(rows: int) -> Figure:
    return Figure(figsize=(SIZE[0], max(2.4, 1.3 + 0.32 * rows)), layout="constrained")


def _names(rows: Sequence[Row]) -> list[str]:
    return [plot_text(row.label, _LENGTH) for row in rows]
