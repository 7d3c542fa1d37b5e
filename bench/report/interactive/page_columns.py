"""The columns of a leaderboard on the page: what it is read for first, and nothing that is the same in each row."""

from bench.report.table_model import Group
from bench.results.quantities import MISSING

_SHARED = ("backbone", "weights")  # columns that move to the table's head if all rows have the same
_NONE = {MISSING: "none"}
_FIRST = ("latency_ms_p95", "train_images_per_second", "peak_memory_mib", "process_peak_mib")


def shared_values(group: Group) -> dict[str, str]:
    """Return heading and text of the columns in which all rows are the same."""
    found = {
        name: list(dict.fromkeys(row.cells[name].text for row in group.rows))
        for name in _SHARED
        if name in group.columns
    }
    return {group.columns[name][0]: _NONE.get(texts[0], texts[0]) for name, texts in found.items() if len(texts) == 1}


def page_columns(group: Group) -> dict[str, tuple[str, str]]:
    """Return the columns in the page's order: configuration, score, speed, memory, flags, and the rest."""
    shared = shared_values(group)
    left = [name for name in group.columns if group.columns[name][0] not in shared]
    until = left.index(group.metric.name) + 1
    first = [name for name in (*_FIRST, "flags") if name in left[until:]]
    names = [*left[:until], *first, *(name for name in left[until:] if name not in first)]
    return {name: group.columns[name] for name in names}
