"""The style of the report's figures, and saving them: as files, and as SVG that takes the page's colours."""

import io
import math
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D

from bench.report.output_files import write_whole
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.clean_text import shorten

HIGHLIGHTED = 10  # configurations with a colour of their own; the others are grey
SIZE = (5.3, 4.1)  # inches
_DPI = 130  # resolution of the PNG files
_TIP = "tip:"  # marks an SVG identifier that holds the text of a tooltip
_INK, _LINE, _PAPER, GREY = "#1f2329", "#d0d7df", "#fffffe", "#9aa3ad"
# Colours of medium brightness, so that they are visible on a light and on a dark page.
COLORS = ("#2f7fc1", "#e07b00", "#12a079", "#cc5fa3", "#d64545", "#7d6bd6", "#8c7a00", "#3aa5d6", "#a0643c", "#6b8e23")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
RING: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 10, "markerfacecolor": "none"}
STYLE: dict[Any, Any] = {
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
    "svg.hashsalt": "segbench",  # equal identifiers each time
    "text.color": _INK,
    "xtick.color": _INK,
    "xtick.labelsize": 9,
    "ytick.color": _INK,
    "ytick.labelsize": 9,
}


def reach(uncertainty: Uncertainty | None) -> tuple[float, float]:
    """Return how far the 95 % interval reaches below and above the mean; 0 for one seed, whose bar would mislead."""
    if uncertainty is None or not uncertainty.is_separable:
        return 0.0, 0.0
    found = uncertainty.interval
    below, above = found.mean - found.low, found.high - found.mean
    return (below, above) if math.isfinite(below + above) else (0.0, 0.0)


@contextmanager
def our_style() -> Iterator[None]:
    """Draw in the report's style, whatever a matplotlibrc or the user's program has set."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**sns.axes_style("ticks"), **STYLE})
        yield


@dataclass(frozen=True)
class Plot:
    """A plot on disk and for the page."""

    title: str
    svg: str  # for the HTML page: text and lines take the page's colours
    files: tuple[Path, ...]


class Look(NamedTuple):
    """The colour and marker of a configuration."""

    color: str
    marker: str


Looks = Mapping[str, Look]  # by label, best first; configurations without one are grey


def shared_looks(boards: Sequence[Sequence[str]]) -> list[Looks]:
    """Choose the looks of the first labels of each board; a label in several boards keeps its look if it can."""
    wished: dict[str, int] = {}
    used = [0] * HIGHLIGHTED
    found: list[Looks] = []
    for labels in boards:
        places: dict[str, int] = {}
        for label in labels[:HIGHLIGHTED]:
            if label in wished and wished[label] not in places.values():
                places[label] = wished[label]
        for label in labels[:HIGHLIGHTED]:
            if label not in places:
                free = set(range(HIGHLIGHTED)) - set(places.values())
                places[label] = min(free, key=lambda place: (used[place], place))
                wished.setdefault(label, places[label])
                used[places[label]] += 1
        found.append({label: Look(COLORS[places[label]], MARKERS[places[label]]) for label in labels[:HIGHLIGHTED]})
    return found


def legend(
    figure: Figure,
    looks: Looks,
    shown: Collection[str],
    line: Literal["-", ""],
    *,
    rings: bool = False,
    more: Sequence[Line2D] = (),
) -> None:
    """Draw the legend below the plot, so that names never cover points; `shown` are the labels in the plot."""
    handles = [
        Line2D([], [], **look._asdict(), linestyle=line, markeredgecolor="none", label=plot_text(label))
        for label, look in looks.items()
        if label in shown
    ]
    others = len(set(shown) - set(looks))
    if others:
        handles.append(Line2D([], [], color=GREY, marker=".", linestyle=line, label=f"{others} more"))
    if rings:
        handles.append(Line2D([], [], color=GREY, label="encoder frozen", **RING))
    handles += more
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if longest > 32 else 2)


def plot_text(text: str, length: int = 60) -> str:
    """Return text without matplotlib's markup ($), with only the characters that its font has."""
    known = _characters()
    return "".join(c if ord(c) in known else "?" for c in shorten(text, length)).replace("$", r"\$")


@cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def add_tip(artist: Artist, text: str) -> None:
    """Set the tooltip that the page shows for the artist."""
    artist.set_gid(_TIP + shorten(text, 160))


def save(figure: Figure, title: str, folder: Path, name: str) -> Plot:
    text, picture = io.StringIO(), io.BytesIO()
    with warnings.catch_warnings():
        # If names are too long for the figure, the plot is still made, and the legend is cut.
        warnings.filterwarnings("ignore", message="constrained_layout not applied", category=UserWarning)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # keep the layout: savefig would draw the figure twice
        figure.set_dpi(_DPI)
        FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    drawn = re.sub(rf"""<g id=(["']){_TIP}(.*?)\1>""", r"<g><title>\2</title>", text.getvalue())
    svg = write_whole(folder / f"{name}.svg", drawn.encode())
    png = write_whole(folder / f"{name}.png", picture.getvalue())
    return Plot(title, _for_page(drawn, name), (svg, png))


def _for_page(svg: str, name: str) -> str:
    """Return only the SVG element, with identifiers that are unique in the page, and the page's colours."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 aria-hidden="true" focusable="false"', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace(_INK, "currentColor").replace(_LINE, "var(--line)").replace(_PAPER, "none")
