"""All small tables of a report, by topic."""

from collections.abc import Mapping, Sequence

from bench.report.findings.boards.board import Board
from bench.report.findings.boards.commits import commit_boards
from bench.report.findings.boards.curve_worth import area_boards, doubling_boards
from bench.report.findings.boards.fold_ranks import fold_boards
from bench.report.findings.boards.pretraining import pretraining_boards
from bench.report.findings.boards.seed_worth import seed_boards
from bench.report.findings.boards.verified import verified_boards
from bench.report.findings.series import Series
from bench.report.table_model import Group
from bench.results.loading import StoredTrial
from bench.results.over_commits.timeline import Timeline


def boards_by_topic(
    groups: Sequence[Group],
    trials: Mapping[str, StoredTrial],
    series: Sequence[Series],
    lines: Sequence[Timeline] = (),
) -> list[Sequence[Board]]:
    """Make the tables of each topic that has any, in the order of the page's sections.

    Args:
        trials: by folder.
        lines: the numbers of configurations over commits.
    """
    found: list[Sequence[Board]] = [
        fold_boards(groups),
        pretraining_boards(groups, trials),
        verified_boards(groups, trials),
        seed_boards(groups),
        doubling_boards(series),
        area_boards(series),
        commit_boards(lines),
    ]
    return [boards for boards in found if boards]
