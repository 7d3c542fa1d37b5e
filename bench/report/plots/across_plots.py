"""The critical-difference diagram (Demšar 2006): mean ranks, with bars where no difference is significant."""

from pathlib import Path

from matplotlib.figure import Figure

from bench.report.findings.across import Across
from bench.report.plots.figures import COLORS, GREY, SIZE, Plot, our_style, plot_text, save

KIND = "mean-ranks"
_MOST = 30  # configurations in the plot, best first


def across_plot(across: Across, folder: Path, name: str) -> Plot:
    """Draw the plot and write it to `folder` as NAME-mean-ranks.svg and .png."""
    with our_style():
        return save(_draw(across), across.title, folder, f"{name}-{KIND}")


def _draw(across: Across) -> Figure:
    """Draw a row per configuration: its rank on each data set, its mean, and at the right a bar for each clique."""
    places = across.places[:_MOST]
    figure = Figure(figsize=(SIZE[0], max(2.6, 1.6 + 0.32 * len(places))), layout="constrained")
    axes = figure.subplots()
    for row, place in enumerate(places):
        axes.plot(place.ranks, [row] * len(place.ranks), "|", color=GREY, markersize=9, zorder=2)
        axes.plot(place.mean, row, "o", color=COLORS[0], markersize=8, markeredgecolor="none", zorder=3)
    beside = axes.get_yaxis_transform()  # the axes' width across, rows down
    for number, (first, last) in enumerate(pair for pair in across.cliques if pair[0] < len(places) - 1):
        rows, at = [first - 0.25, min(last, len(places) - 1) + 0.25], 1.02 + 0.025 * number
        axes.plot([at, at], rows, color=COLORS[1], linewidth=3.5, transform=beside, clip_on=False)
    axes.set_yticks(range(len(places)), [plot_text(place.label, 34) for place in places])
    axes.set(xlabel=f"mean rank (lines: each data set); critical difference {across.critical_difference:.2f}")
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    return figure
