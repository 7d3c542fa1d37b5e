"""The ranks that the page counts for the rows left by filter and limits are those that Python gives for these rows."""

from dataclasses import replace

import numpy as np
import pytest
from browser import needs_browser, told
from fake_results import NETS, fake_config, fake_record, write_trial

from bench.report.interactive.worse_rows import worse_rows
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import load_results

RANKS = "Array.from(boards[0].tBodies[0].rows, (row) => [row.dataset.label, cell(row, 'rank')])"


def read_back(runs: str, place: int, rows: int) -> list[bool]:
    """Which rows after `place` are significantly worse, read as the page does."""
    found, worse = [], False
    for length in runs.split():
        found += [worse] * int(length)
        worse = not worse
    return found + [worse] * (rows - place - 1 - len(found))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("rows", [0, 1, 2, 37])
def test_every_pair_survives_the_short_form(share, rows):
    upper = np.triu(np.random.default_rng(rows).random((rows, rows)) < share, 1)
    texts = worse_rows(upper | upper.T)
    assert [read_back(text, place, rows) for place, text in enumerate(texts)] == [
        upper[place, place + 1 :].tolist() for place in range(rows)
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory, monkeypatch_module):
    """Eighteen configurations of close scores: some tied, one without tables, one of one seed, one without a score."""
    folder = tmp_path_factory.mktemp("ranks") / "results"
    random = np.random.default_rng(5)
    for number in range(18):
        net = (f"{'ab'[number % 2]}net{number:02}", None)
        rate = float(random.uniform(20, 120))
        monkeypatch_module.setitem(NETS, net, (float(random.uniform(0.8, 0.9)), rate, 100.0 * number, 1_000_000))
        for seed in range(1 if number == 3 else 3):
            record, table = fake_record(fake_config(net[0], seed=seed))
            if number == 5:
                record = replace(record, metrics={**record.metrics, "mean_iou": float("nan")})
            write_trial(folder, record, None if number == 4 else table, samples=0)
    return folder


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@needs_browser
def test_ranks_intervals_and_ties_follow_filter_and_limits_as_in_python(results, tmp_path):
    frame = load_results([results])
    [group] = groups(frame)
    page = write_report([results], tmp_path / "out").files[0]
    views = [("anet", ""), ("", "20"), ("bnet", "20"), ("net17", ""), ("nothing", ""), ("", "")]
    steps = "".join(
        f"type('filter', '{q}'); type('max_latency_ms', '{ms}'); told.push({RANKS}, chips());" for q, ms in views
    )
    found = told(page, tmp_path, steps)
    for (word, limit), shown, chips in zip(views, found[::2], found[1::2], strict=True):
        rows = [row for row in group.rows if word in row.label and (not limit or slow(row) <= float(limit))]
        [part] = groups(frame[frame["arch"].isin([row.label for row in rows])]) or [None]
        assert shown == [[row.label, row.cells["rank"].text] for row in (part.rows if part else ())]
        best = [row.label for row in (part.ranked if part else ()) if not part.different[0, part.ranked.index(row)]]
        assert chips == best
    assert (
        0 < len(found[2]) < 18 and len({rank for _, rank in found[0]}) > 3
    )  # the limit and the scores divide the rows


def slow(row) -> float:
    return row.configuration.spread("latency_ms_p95").mean
