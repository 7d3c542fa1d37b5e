"""The tables of models that weren't trained here: beside the best-ranked run of the same images, and in no ranking."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bench.core.errors import BenchError
from bench.evaluation.image_table import ImageTable, read_table
from bench.report.columns import BUSY_MARK
from bench.report.table_model import Cell, Group, Row
from bench.report.text.tables import markdown_cell
from bench.results.analysis.bootstrap import bootstrap
from bench.results.analysis.intervals.scales import Interval
from bench.results.analysis.quiet import BUSY
from bench.results.clean_text import clean, shorten
from bench.results.deployed.other_models import NOT_TRAINED_HERE, OtherModel
from bench.results.quantities import MEAN_IOU, MISSING
from bench.results.quantities.quantity import significant
from bench.results.trial_files import IMAGES

MAY_HAVE_SEEN = "may have seen the test images"
_MOST_CLASSES = 8  # with a column each
_NUMBERS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("latency_ms_p50", "latency p50 (ms)", significant),
    ("latency_ms_p95", "latency p95 (ms)", significant),
    ("images_per_second", "images/s", significant),
    ("load_seconds", "load (s)", significant),
    ("size_mib", "size (MiB)", significant),
    ("process_peak_mib", "memory (MiB)", significant),
)
_TIMES = {"latency_ms_p50", "latency_ms_p95", "images_per_second", "load_seconds"}


@dataclass(frozen=True)
class OtherModelsBoard:
    """Models that were scored on the same images at the same size, the best first."""

    title: str
    headings: tuple[str, ...]
    leader: str  # the run that they are compared with; empty if there is none
    rows: tuple[tuple[Cell, ...], ...]  # a cell for each heading: first the model, last the note

    @property
    def notes(self) -> list[str]:
        """Sentences below the table that say what its numbers are."""
        compared = (
            f"Difference from {self.leader}, the best-ranked run here, on the same images, with the paired interval "
            "over these. Of several seeds it is the mean.",
        )
        return [
            f"These models were {NOT_TRAINED_HERE}: they are in no rank, tie or pooled interval of the runs.",
            "[ ] is the 95 % interval over the images.",
            *(compared if self.leader else ()),
            f"Times are those of the file alone, one image at a time. {BUSY_MARK} marks a busy machine.",
        ]

    def markdown(self) -> list[str]:
        """Return the lines of a GitHub table under its title."""
        marks = ["---", "---", *["---:"] * (len(self.headings) - 3), "---"]
        lines = [
            f"| {' | '.join(cells)} |"
            for cells in (
                [markdown_cell(heading) for heading in self.headings],
                marks,
                *([markdown_cell(cell.text) for cell in row] for row in self.rows),
            )
        ]
        return [
            f"## {markdown_cell(self.title)}",
            "",
            *lines,
            "",
            *(f"- {markdown_cell(note)}" for note in self.notes),
            "",
        ]


def other_models_boards(
    found: Iterable[tuple[OtherModel, Path]], groups: Sequence[Group], problems: list[str]
) -> list[OtherModelsBoard]:
    """Make a table per data set and size of what was scored on a test split.

    Args:
        found: records, each with the path of its per-image table.
        groups: those of the leaderboard.
        problems: gets a line for each table that can't be read.
    """
    tested = [(record, path) for record, path in found if record.split == "test"]
    return [_board(list(some), groups, problems) for _, some in groupby(sorted(tested, key=_key), key=_place)]


def _place(pair: tuple[OtherModel, Path]) -> tuple[str, str, str, int]:
    record = pair[0]
    data = record.dataset
    return data["name"], data["fingerprint"], record.evaluation_size, record.protocol_version


def _key(pair: tuple[OtherModel, Path]) -> tuple[tuple[str, str, str, int], float, str]:
    return _place(pair), -_number(pair[0].metrics.get("mean_iou"), -math.inf), pair[0].model


def _board(some: Sequence[tuple[OtherModel, Path]], groups: Sequence[Group], problems: list[str]) -> OtherModelsBoard:
    record = some[0][0]
    leader = _leader(record, groups)
    tables = _tables(leader)
    classes = [str(name) for name in record.dataset["classes"]]
    classes = classes if len(classes) <= _MOST_CLASSES else []
    rows = []
    for one, path in some:
        score, difference = _compared(path, tables, problems)
        rows.append((*_first(one, score, difference), *_per_class(one, classes), *_measured(one), _note(one)))
    return OtherModelsBoard(
        title=clean(f"Not trained here: {record.dataset['name']} at {record.evaluation_size}"),
        headings=(
            *("model", "format", "mean IoU", "difference"),
            *(clean(f"IoU {name}") for name in classes),
            *(heading for _, heading, _ in _NUMBERS),
            "note",
        ),
        leader=leader.label if leader and tables else "",
        rows=tuple(rows),
    )


def _leader(record: OtherModel, groups: Sequence[Group]) -> Row | None:
    """Return the best-ranked run of all groups with the same images."""
    wanted = record.dataset["name"], record.dataset["fingerprint"], record.evaluation_size, record.protocol_version
    rows = [row for group in groups for row in group.ranked[:1] if _images_of(row) == wanted]
    return max(rows, key=lambda row: row.configuration.spread(MEAN_IOU.name).mean, default=None)


def _images_of(row: Row) -> tuple[object, ...]:
    values = row.configuration.values
    protocol = values["protocol_version"]
    return values["dataset"], values["data_fingerprint"], values["evaluation_size"], protocol


def _tables(leader: Row | None) -> list[ImageTable]:
    """Read the per-image tables of a run's seeds; none if any is missing."""
    try:
        folders = leader.configuration.ok["folder"] if leader else []
        return [read_table(Path(folder) / IMAGES, counts_only=True) for folder in folders]
    except BenchError:  # the leaderboard names it
        return []


def _compared(path: Path, tables: Sequence[ImageTable], problems: list[str]) -> tuple[Interval | None, Interval | None]:
    """Return the score's interval over the images, and that of the difference from a run on the same ones."""
    try:
        mine = read_table(path, counts_only=True)
    except BenchError as error:
        problems.append(clean(f"{path.parent.name}: {error}"))
        return None, None
    same = [table for table in tables if table.names == mine.names and table.counts.shape == mine.counts.shape]
    score = MEAN_IOU.score
    values = [[score.values(mine)], *([[score.values(table) for table in same]] if same else [])]
    drawn = bootstrap(values, mine.groups, score.of_sums, scale=score.scale)
    return drawn[0].interval, drawn[0].drift_from(drawn[1]) if len(drawn) > 1 else None


def _first(record: OtherModel, score: Interval | None, difference: Interval | None) -> tuple[Cell, ...]:
    value = _number(record.metrics.get("mean_iou"))
    text = f"{value:.3f}" if math.isfinite(value) else MISSING
    spread = f" [{score.low:.3f}, {score.high:.3f}]" if score and math.isfinite(score.low) else ""
    apart = Cell(MISSING)
    if difference:
        bounds = f" [{difference.low:+.3f}, {difference.high:+.3f}]" if math.isfinite(difference.low) else ""
        apart = Cell(f"{difference.mean:+.3f}{bounds}", difference.mean)
    name = shorten(clean(record.model), 60)
    return (
        Cell(name, name, f"SHA-256 {record.sha256}"),
        Cell(shorten(clean(record.format), 20)),
        Cell(f"{text}{spread}", value if math.isfinite(value) else None, f"{record.dataset['images']:,} test images"),
        apart,
    )


def _per_class(record: OtherModel, classes: Sequence[str]) -> list[Cell]:
    found = record.metrics.get("iou")
    values = [_number(found.get(name)) if isinstance(found, Mapping) else math.nan for name in classes]
    return [Cell(f"{value:.3f}", value) if math.isfinite(value) else Cell(MISSING) for value in values]


def _measured(record: OtherModel) -> list[Cell]:
    busy = BUSY_MARK if (record.others_share or 0.0) > BUSY else ""
    where = f"{clean(record.device)}, threads: {record.threads}, computed in {clean(record.computes)}"
    cells = []
    for name, _, write in _NUMBERS:
        value = _number(getattr(record, name))
        mark = busy if name in _TIMES else ""
        cells.append(Cell(f"{mark}{write(value)}", value, where) if math.isfinite(value) else Cell(MISSING))
    return cells


def _note(record: OtherModel) -> Cell:
    doubts = [NOT_TRAINED_HERE, *([] if record.unseen else [MAY_HAVE_SEEN]), *record.notes]
    title = f"It can't have seen them: {clean(record.unseen)}." if record.unseen else ""
    return Cell(shorten(clean("; ".join(doubts)), 300), None, title, warn=not record.unseen)


def _number(value: object, otherwise: float = math.nan) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise
