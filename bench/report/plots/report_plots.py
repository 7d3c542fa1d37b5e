"""The plots of a group, drawn by seaborn and matplotlib and saved as SVG and PNG."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.report.output_files import remove_others
from bench.report.plots.across_plots import KIND
from bench.report.plots.bars import draw_classes, draw_images, draw_ledger, has_ledger
from bench.report.plots.curves import ACROSS, OWN, draw_curves
from bench.report.plots.deployment_plot import KIND as DEPLOYED
from bench.report.plots.figures import Looks, Plot, our_style, save
from bench.report.plots.latency import KIND as LATENCY
from bench.report.plots.series_plots import KINDS
from bench.report.plots.trade_offs import COSTS, draw_trade_off
from bench.report.table_model import Group

_KINDS = (
    *(f"curves-{x}" for x in ACROSS),
    "loss-train_seconds",
    *(f"{name}-train_seconds" for name in OWN),
    *(cost.name for cost in COSTS),
    "ledger",
    "classes",
    "images",
    *KINDS.values(),
    KIND,
    LATENCY,
    DEPLOYED,
)


def group_plots(
    group: Group, looks: Looks, curves: pd.DataFrame, images: Mapping[str, NDArray[np.float64]], folder: Path, name: str
) -> list[Plot]:
    """Plot curves, trade-offs, classes, images and ledger of a group into `folder`, as NAME-KIND.svg and .png.

    Args:
        looks: the looks of the group's labels.
        curves: the frame of `curves_frame`.
        images: the images' scores by label, see `draw_images`.
    """
    with our_style():
        return [
            save(draw(), title, folder, f"{name}-{kind}") for kind, title, draw in _wanted(group, looks, curves, images)
        ]


def _wanted(
    group: Group, looks: Looks, curves: pd.DataFrame, images: Mapping[str, NDArray[np.float64]]
) -> Iterator[tuple[str, str, Callable[[], Figure]]]:
    """Yield kind, title and drawing function of each plot for which there are numbers."""
    rows = group.ranked
    if len(curves):
        for x, text in ACROSS.items():
            if curves[x].notna().any():
                yield (
                    f"curves-{x}",
                    f"Validation mean IoU against {text}",
                    partial(draw_curves, looks, curves, x, "val_mean_iou"),
                )
        for name, text in OWN.items():
            if curves[name].notna().any():
                yield (
                    f"{name}-train_seconds",
                    f"V{text[1:]} against {ACROSS['train_seconds']}",
                    partial(draw_curves, looks, curves, "train_seconds", name),
                )
        if curves["loss"].notna().any():
            yield (
                "loss-train_seconds",
                f"Training loss against {ACROSS['train_seconds']}",
                partial(draw_curves, looks, curves, "train_seconds", "loss"),
            )
    for cost in COSTS:
        if any(row.configuration.spread(cost.name).n for row in rows):
            yield cost.name, f"Test quality against {cost.axis_title}", partial(draw_trade_off, group, looks, cost)
    if group.classes and rows:
        yield "classes", "IoU of each class (darker is better)", partial(draw_classes, group)
    if images:
        yield "images", "The images of the test split", partial(draw_images, rows, images)
    if has_ledger(group):
        yield "ledger", "Time of each phase", partial(draw_ledger, rows)


def remove_old_plots(folder: Path, plots: Sequence[Plot]) -> None:
    """Remove the plots of an earlier report that this one doesn't have; other files stay."""
    ours = re.compile(rf"\d+-[a-z0-9-]+-({'|'.join(_KINDS)})\.(svg|png)")
    remove_others(folder, ours, {file for plot in plots for file in plot.files})
