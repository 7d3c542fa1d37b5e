"""Learning curves: validation score and loss during training, and the time to a score."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from bench.report.plots.figures import GREY, RING, SIZE, Looks, legend
from bench.report.table_model import Group
from bench.results.loading import StoredTrial
from bench.results.quantities import shown_in
from bench.results.quantities.quantity import CURVES

ACROSS = {"train_seconds": "training seconds", "images": "images trained on", "epochs": "epochs"}
OWN = {f"val_{row.name}": f"validation {row.heading_with_unit}" for row in shown_in(CURVES)}  # a data set's own metrics
UP = {"val_mean_iou": "validation mean IoU", "loss": "training loss", **OWN}
MOST = 200  # configurations with curves, best first


def curves_frame(group: Group, trials: Mapping[str, StoredTrial]) -> pd.DataFrame:
    """Make a frame of a group's histories with a row per validation.

    Columns: `label`, `trial` (its number within the row), `validation` (its number), `frozen` (whether the encoder
    was), and those of ACROSS and UP. The frame is empty if no history can be read.
    """
    rows = [
        {"label": row.label, "trial": trial, "validation": number, **{name: step.get(name) for name in (*ACROSS, *UP)}}
        | {"frozen": step.get("phase") == "frozen"}
        for row in group.ranked[:MOST]
        for trial, folder in enumerate(row.configuration.ok["folder"])
        for number, step in enumerate(trials[folder].history())
    ]
    frame = pd.DataFrame(rows)
    for name in (*ACROSS, *UP) if rows else ():
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    return frame.dropna(subset=["train_seconds", "val_mean_iou"]) if rows else frame


def draw_curves(looks: Looks, curves: pd.DataFrame, x: str, y: str) -> Figure:
    """Draw the mean over a row's trials with a band of one standard deviation; x is averaged over them, too."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    curves = curves.dropna(subset=[x, y])
    curves = curves.assign(**{x: curves.groupby(["label", "validation"])[x].transform("mean")})
    known = set(curves["label"])
    labels = [label for label in looks if label in known]
    _draw_grey(axes, curves[~curves["label"].isin(labels)], x, y)
    sns.lineplot(
        curves[curves["label"].isin(labels)],
        x=x,
        y=y,
        hue="label",
        hue_order=labels,
        palette={label: looks[label].color for label in labels},
        style="label",
        style_order=labels,
        markers={label: looks[label].marker for label in labels},
        dashes=False,
        errorbar="sd",
        err_kws={"alpha": 0.15, "linewidth": 0},
        markersize=5,
        markeredgecolor="none",
        linewidth=1.6,
        legend=False,
        ax=axes,
    )
    axes.set(xlabel=ACROSS[x], ylabel=UP[y], xlim=(0, None))
    legend(figure, looks, known, "-", rings=_ring_frozen(axes, looks, curves, x, y))
    return figure


def _draw_grey(axes: Axes, curves: pd.DataFrame, x: str, y: str) -> None:
    means = curves.groupby(["label", "validation"])[[x, y]].mean()
    lines = [some.to_numpy() for _, some in means.groupby(level=0)]
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.8, alpha=0.6, zorder=1))


def _ring_frozen(axes: Axes, looks: Looks, curves: pd.DataFrame, x: str, y: str) -> bool:
    """Draw a ring around each highlighted validation with a frozen encoder; return whether there is any such one."""
    frozen = curves[curves["frozen"].astype(bool)].groupby(["label", "validation"])[[x, y]].mean()
    known = frozen.index.unique("label")
    for label, look in looks.items():
        if label in known:
            points = frozen.loc[label]
            axes.plot(points[x], points[y], color=look.color, **RING)
    return len(frozen) > 0


def usual_target(curves: pd.DataFrame) -> float:
    """Return a score worth reaching: nine tenths of the best validation score, to two digits."""
    return round(0.9 * float(curves["val_mean_iou"].max()), 2)


def time_to(target: float, curves: pd.DataFrame) -> dict[str, tuple[float | None, int, int]]:
    """Return for each label: mean training seconds to `target`, trials that reached it, number of trials.

    The seconds are None if no trial reached it. A curve's learning rate falls over its whole budget: a longer budget
    may reach the target later, so a curve doesn't give the result of a shorter budget.
    """
    found: dict[str, tuple[float | None, int, int]] = {}
    for label, some in curves.groupby("label", sort=False):
        reached = some[some["val_mean_iou"] >= target].groupby("trial")["train_seconds"].min()
        mean = float(reached.mean()) if len(reached) else None
        found[str(label)] = (mean, len(reached), int(some["trial"].nunique()))
    return found


def points(curves: pd.DataFrame) -> dict[str, str]:
    """Write each label's curves for the page's script: `12.3:0.41 24.6:0.52;11.9:0.4`, `;` between trials."""
    texts: dict[str, list[str]] = {}
    for (label, _), some in curves.groupby(["label", "trial"], sort=False):
        pairs = zip(some["train_seconds"], some["val_mean_iou"], strict=True)
        texts.setdefault(str(label), []).append(" ".join(f"{x:.4g}:{y:.4f}" for x, y in pairs))
    return {label: ";".join(some) for label, some in texts.items()}
