"""The columns of a leaderboard, with their headings and definitions, and the mark of a number from a busy machine."""

from collections.abc import Sequence

from bench.core.trial_config import DEFAULTS
from bench.report.text.setting_texts import setting_words
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.quiet import BUSY, free, quiet_interval
from bench.results.quantities import LEADERBOARD, PARAMS, shown_in
from bench.results.quantities.quantity import HIGHER, Metric, Quantity

TEXTS = {  # name: heading, definition
    "rank": (
        "rank",
        "The rank within this table. Rows that are not significantly different (the 95 % interval of their difference "
        "contains 0) share the rank of the first of them; in brackets the range of possible ranks.",
    ),
    "arch": ("architecture", "The architecture that was trained."),
    "backbone": ("backbone", "The pretrained feature network that the architecture is built on."),
    "configuration": ("configuration", "Hash of the configuration; rows that look alike differ in a file's content."),
    "weights": ("weights", "The weights that the backbone started from; none: random."),
    "flags": ("flags", "Reasons to be careful with the row; the evidence is below the table."),
    "tuned": ("tuned", "The number of trials by which options were chosen on the validation split, and their time."),
    "total_cost": ("total cost", "The wall time of all trials of the row, and of the tuning trials before them."),
    "seeds": ("seeds", "The number of ok seeds; means and sample standard deviations (±) are taken over them."),
}
OF_TUNED = ("tuned", "total_cost")  # the columns of rows whose options were tuned
RANKED_BY = " Rows are ranked by it; in brackets the 95 % interval over {}."
MEASURED = tuple(row for row in shown_in(LEADERBOARD) if row is not PARAMS)  # parameters have a place of their own
BUSY_MARK = "~"
DETAILS = frozenset(row.name for row in MEASURED if row.detail)
HIGH_IS_BETTER = frozenset({"seeds", *(row.name for row in MEASURED if row.better == HIGHER)})


def measured_columns(members: Sequence[Configuration], metric: Metric) -> list[Quantity]:
    """List the number columns of a group, the ranking score among them."""
    columns = [row for row in MEASURED if not row.optional or any(_concerns(row, member) for member in members)]
    return columns if metric in columns else [metric, *columns]


def _concerns(row: Quantity, member: Configuration) -> bool:
    """Return whether a configuration has the number, or should have it."""
    if row.of_option and (member.trials[row.of_option] != getattr(DEFAULTS, row.of_option)).any():
        return True
    return member.spread(row.name).n > 0


def all_columns(
    varied: Sequence[str], measured: Sequence[Quantity], metric: Metric, *, flagged: bool, tuned: bool = False
) -> dict[str, tuple[str, str]]:
    """Return name -> (heading with unit, definition) for every column, in order."""
    columns = {name: TEXTS[name] for name in ("rank", "arch", "backbone")}
    for name in varied:
        columns[name] = TEXTS.get(name, (setting_words(name), f"Part of the configuration: {name}."))
    columns |= {name: TEXTS[name] for name in ("weights", "seeds")}
    for row in (metric, PARAMS, *(row for row in measured if row != metric)):
        if row is PARAMS and tuned:
            columns |= {name: TEXTS[name] for name in OF_TUNED}
        if row is PARAMS and flagged:
            columns["flags"] = TEXTS["flags"]
        columns[row.name] = (
            row.heading_with_unit,
            row.meaning + (RANKED_BY.format(metric.interval_over) if row == metric else ""),
        )
    return columns


def busy_title(column: Quantity, member: Configuration) -> str:
    """Say how busy the CPU was, and what the number could be on a quiet machine; "" if that doesn't concern it."""
    spread = member.spread(column.name)
    if not (interval := quiet_interval(column, spread.mean, spread.sd, member.others_share)):
        return ""
    low, high = map(column.write, interval)
    busy = f"other processes took {member.others_share:.0%} of the CPU"
    return f"{busy}; {low} to {high} {column.unit} on a quiet machine"


def busy_notes(members: Sequence[Configuration]) -> list[str]:
    """Explain the mark below a table; [] if no row has it."""
    shares = [member.others_share for member in members if member.others_share > BUSY]
    if not shares:
        return []
    most = max(shares)
    return [
        f"{BUSY_MARK}: measured while other processes took up to {most:.0%} of the CPU; a quiet machine may be up to "
        f"{1 / free(most):.2g} times as fast."
    ]
