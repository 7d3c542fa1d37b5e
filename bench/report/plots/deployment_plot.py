"""The plot of `bench deploy`: quality against latency, one colour a model, one mark a format and precision."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from bench.report.findings.deployment_tables import DeploymentBoard
from bench.report.plots.figures import COLORS, GREY, MARKERS, SIZE, Plot, add_tip, our_style, plot_text, save

KIND = "deployed"
_TITLE = "Quality against latency in each form"


def deployment_plot(board: DeploymentBoard, folder: Path, name: str) -> Plot | None:
    """Draw a board as NAME-deployed.svg and .png; None if none of its rows has a score and a latency."""
    if not any(_shown(board)):
        return None
    with our_style():
        return save(_draw(board), _TITLE, folder, f"{name}-{KIND}")


def _shown(board: DeploymentBoard) -> list[bool]:
    return [row.values["latency_ms_p50"] == row.values["latency_ms_p50"] for row in board.rows]


def _draw(board: DeploymentBoard) -> Figure:
    rows = [row for row, shown in zip(board.rows, _shown(board), strict=True) if shown]
    labels = list(dict.fromkeys(row.label for row in rows))
    forms = list(dict.fromkeys(_form(row.cells) for row in sorted(rows, key=lambda row: row.deployment.key)))
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    colors = {label: COLORS[place] if place < len(COLORS) else GREY for place, label in enumerate(labels)}
    marks = {form: MARKERS[place % len(MARKERS)] for place, form in enumerate(forms)}
    for row in rows:
        point = axes.plot(
            row.values["latency_ms_p50"],
            row.values["mean_iou"],
            marks[_form(row.cells)],
            color=colors[row.label],
            markersize=8,
            markeredgecolor="none",
        )
        add_tip(point[0], f"{row.label}, {_form(row.cells)}: {row.cells['mean_iou']}; {row.cells['latency_ms_p50']} ms")
    latency = [row.values["latency_ms_p50"] for row in rows]
    if max(latency) > 5 * min(latency):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.12g}")
    axes.margins(0.12)
    axes.set(xlabel="latency of one image, median (ms)", ylabel="test mean IoU")
    handles = [
        *(Line2D([], [], color=colors[label], linewidth=6, label=plot_text(label)) for label in labels),
        *(Line2D([], [], color=GREY, marker=marks[form], linestyle="", label=form) for form in forms),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _form(cells: dict[str, str]) -> str:
    return f"{cells['format']} {cells['precision']}"
