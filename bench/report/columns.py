"""Which columns a leaderboard has, and what their headings and definitions are."""

from collections.abc import Sequence

from bench.results.analysis.configurations import Configuration
from bench.results.quantities import LEADERBOARD, PARAMS, shown_in
from bench.results.quantities.quantity import HIGHER, Metric, Quantity

TEXTS = {  # name: heading, definition
    "rank": (
        "rank",
        "Within this table. Rows that are not significantly different (the 95 % interval of their difference holds 0) "
        "share the place of the first of them; in brackets the ranks that the differences leave open.",
    ),
    "arch": ("architecture", "What was trained."),
    "backbone": ("backbone", "The pretrained feature network that the architecture stands on."),
    "configuration": ("configuration", "Hash of the configuration: rows that look alike differ in a file's content."),
    "weights": ("weights", "What the backbone started from; none: random."),
    "flags": ("flags", "What should make you careful with the row; the evidence stands below the table."),
    "seeds": ("seeds", "Seeds that are ok, over which the mean and the sample standard deviation (±) are taken."),
}
RANKED_BY = " The rank follows it; in brackets the 95 % interval over images and seeds."
MEASURED = tuple(row for row in shown_in(LEADERBOARD) if row is not PARAMS)  # parameters stand apart, after the score
HIGH_IS_BETTER = frozenset({"seeds", *(row.name for row in MEASURED if row.better == HIGHER)})


def measured_columns(members: Sequence[Configuration], metric: Metric) -> list[Quantity]:
    """The columns of numbers of a group, the one that is ranked by among them."""
    columns = [row for row in MEASURED if not row.optional or any(m.spread(row.name).n for m in members)]
    return columns if metric in columns else [metric, *columns]


def all_columns(
    varied: Sequence[str], measured: Sequence[Quantity], metric: Metric, *, flagged: bool
) -> dict[str, tuple[str, str]]:
    """Name -> (heading with unit, definition) of every column, in order."""
    columns = {name: TEXTS[name] for name in ("rank", "arch", "backbone")}
    for name in varied:
        columns[name] = TEXTS.get(name, (name.replace("_", " "), f"Part of the configuration: {name}."))
    columns |= {name: TEXTS[name] for name in ("weights", "seeds")}
    for row in (metric, PARAMS, *(row for row in measured if row != metric)):
        if row is PARAMS and flagged:
            columns["flags"] = TEXTS["flags"]
        columns[row.name] = (row.heading_with_unit, row.meaning + (RANKED_BY if row == metric else ""))
    return columns
