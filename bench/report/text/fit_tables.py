"""Make the tables of what fits a card: largest batch by image size and memory, and a sentence for each model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

import pandas as pd
from rich.console import Group
from rich.text import Text

from bench.report.findings.memory_fits import Fitted, Size, memory_fits
from bench.report.text.tables import markdown_cell
from bench.report.text.terminal import plain_table
from bench.results.analysis.memory_fit import Holds, MemoryFit
from bench.results.clean_text import shorten
from bench.results.loading import StoredTrial

CARDS_GIB = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 80, 141)
_MOST_CARDS = 5
_STEP = 32  # pixels between the sides that a sentence may name
MEANING = (
    "The largest batch that trains in so much memory. A range: what fits surely and what may fit, by the 95 % "
    "prediction interval; \N{GREATER-THAN OR EQUAL TO}: no larger batch was measured. A card has a little less than "
    "its name says, because the driver takes some."
)
BY_ALLOCATOR = "the process's memory was not recorded, so context and libraries come on top, some hundred MiB on a GPU"


@dataclass(frozen=True)
class FitRow:
    """A model at one measured image size."""

    label: str
    size: str
    cells: tuple[str, ...]  # one for each memory of the board


@dataclass(frozen=True)
class FitBoard:
    """The batches that fit, by models that were measured on one device."""

    title: str
    memories: tuple[str, ...]  # the headings: 8 GiB
    rows: tuple[FitRow, ...]
    sentences: tuple[str, ...]  # "unet trains at batch 16 up to 512 px in 8 GiB."
    fits: tuple[str, ...]  # the fit of each model with its intervals and range, or why there is none
    meaning: str = MEANING

    def for_terminal(self) -> Group:
        """Make a table for `rich.print` with the texts below it, which may be wider than the table."""
        table = plain_table()
        table.add_column("architecture", overflow="fold")
        table.add_column("image", no_wrap=True)
        for heading in self.memories:
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(Text(shorten(row.label, 80)), row.size, *row.cells)
        texts = map(Text, (*self.sentences, *self.fits, *([self.meaning] if self.rows else [])))
        return Group(Text(self.title, style="italic"), *([table] if self.rows else []), *texts, Text())

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table under its title, with the sentences and the fits below it."""
        heads = ["architecture", "image", *self.memories]
        marks = ["---", "---", *["---:"] * len(self.memories)]
        rows = [[markdown_cell(row.label), row.size, *row.cells] for row in self.rows]
        table = [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)] if rows else []
        texts = [f"- {markdown_cell(text)}" for text in (*self.sentences, *self.fits)]
        return [f"## {markdown_cell(self.title)}", "", *table, "", *texts, "", *([self.meaning, ""] if rows else [])]


def fit_boards(frame: pd.DataFrame, trials: Mapping[str, StoredTrial]) -> list[FitBoard]:
    """Make a board for each device on which the largest batch was sought; `trials` are by folder."""
    return [_board(device, fits) for device, fits in memory_fits(frame, trials).items()]


def _board(device: str, fits: Sequence[Fitted]) -> FitBoard:
    fitted = [(one, one.fit) for one in fits if one.fit]
    cards = _cards([fit for _, fit in fitted])
    rows = [
        FitRow(one.label, _text(size), tuple(_cell(fit.holds(size[0] * size[1], 1024 * card)) for card in cards))
        for one, fit in fitted
        for size in one.sizes
    ]
    return FitBoard(
        title=f"Batches that fit, by memory measured on {device}",
        memories=tuple(f"{card} GiB" for card in cards),
        rows=tuple(rows),
        sentences=tuple(_sentence(one, fit, cards) for one, fit in fitted),
        fits=tuple(map(_fit_text, fits)),
    )


def _cards(fits: Sequence[MemoryFit]) -> list[int]:
    """Choose the memories about which the fits have something to say: not all fits, and not nothing."""
    answers = {card: [fit.holds(size, 1024 * card) for fit in fits for size in fit.sizes] for card in CARDS_GIB}
    decided = [card for card in CARDS_GIB if any(answer.decided for answer in answers[card])]
    enough = [card for card in CARDS_GIB if all(answer.surely == answer.most for answer in answers[card])]
    chosen = sorted({*decided[-_MOST_CARDS:], *enough[:1]}) or [CARDS_GIB[-1]]
    return chosen if fits else []


def _cell(holds: Holds) -> str:
    if holds.surely == holds.most:
        return f"\N{GREATER-THAN OR EQUAL TO} {holds.most}"
    if not holds.perhaps:
        return "none"
    return f"{holds.surely}" if holds.surely == holds.perhaps else f"{holds.surely}\N{EN DASH}{holds.perhaps}"


def _sentence(one: Fitted, fit: MemoryFit, cards: Sequence[int]) -> str:
    """Write up to which image size the trials' own batch size trains in which of these memories."""
    sides = [side for side in _sides(one.sizes) if fit.most(side[0] * side[1]) >= one.batch]
    if not sides:
        return f"{one.label}: batch {one.batch} is beyond what was measured ({_range(one, fit)})."
    ways: dict[Size, str] = {}
    for card in cards:
        holds = partial(_surely, fit, one.batch, 1024 * card)
        fitting = list(takewhile(holds, sides))
        if fitting and fitting[-1] not in ways:
            note = " (no larger one was measured)" if fitting[-1] == sides[-1] else ""
            ways[fitting[-1]] = f"up to {_pixels_text(fitting[-1])} in {card} GiB{note}"
    if not ways:
        return f"{one.label} doesn't surely train at batch {one.batch} in {cards[-1]} GiB, even at {_text(sides[0])}."
    return f"{one.label} trains at batch {one.batch} {', '.join(ways.values())}."


def _surely(fit: MemoryFit, batch: int, mib: float, size: Size) -> bool:
    return fit.holds(size[0] * size[1], mib).surely >= batch


def _pixels_text(size: Size) -> str:
    return f"{size[0]} px" if size[0] == size[1] else _text(size)


def _sides(sizes: Sequence[Size]) -> list[Size]:
    """List the measured sizes, with those between them in steps of 32 if all are square; the smallest first."""
    if any(height != width for height, width in sizes):
        return list(sizes)
    low, high = sizes[0][0], sizes[-1][0]
    between = range(-(-low // _STEP) * _STEP, high + 1, _STEP)
    return [(side, side) for side in sorted({*between, *(height for height, _ in sizes)})]


def _fit_text(one: Fitted) -> str:
    if not one.fit:
        return f"{one.label}: no fit, {one.problem}."
    terms = zip(one.fit.coefficients, one.fit.intervals, ("", " x batch", " x batch x megapixels"), strict=False)
    formula = " + ".join(f"{value:.4g} [{low:.4g}, {high:.4g}]{unit}" for value, (low, high), unit in terms)
    by = one.method or "an unknown method"
    note = "" if one.of_process else f" ({BY_ALLOCATOR})"
    return f"{one.label}: memory in MiB = {formula}; {_range(one, one.fit)}; measured: {by}{note}."


def _range(one: Fitted, fit: MemoryFit) -> str:
    first, last = _text(one.sizes[0]), _text(one.sizes[-1])
    sizes = first if first == last else f"{first} to {last}"
    batches = [fit.most(size[0] * size[1]) for size in one.sizes]
    to = ", ".join(map(str, dict.fromkeys(batches)))
    return f"{len(fit.points)} points at {sizes}, batches up to {to}"


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
