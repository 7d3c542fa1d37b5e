"""Opening a data set of very many files, beside a plain loop over them, in one run.

The plain loop reads the table, lists the folder, and asks for the size and time of each file. Opening also groups,
divides and checks, or takes what is kept of that. `-s` prints both; the assertion is on the ratio of processor times,
since other programs may run.
"""

import csv
import os
import time
from collections import defaultdict
from statistics import median

import pytest
from fakes import write_fake_airbus
from test_many_tiles import TABLE, linked

from bench.core.files import VARIABLE
from bench.data.opened import folder_state, question
from bench.data.source import open_source
from bench.datasets import DATASETS

AIRBUS = next(spec for spec in DATASETS if spec.name == "airbus")
ROUNDS = 3
MOST, MOST_KEPT = 8, 4  # times the plain loop's processor time: opened anew, and by what is kept


def plain(folder):
    rows = defaultdict(list)
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        for name, text in csv.reader(file):
            rows[name].append(text)
    return rows, [os.stat(entry.path).st_mtime_ns for entry in os.scandir(folder / "train_v2")]


def cpu_seconds(function):
    begun = time.process_time()
    function()
    return time.process_time() - begun


@pytest.mark.parametrize(
    ("fewest", "most"), [pytest.param(10**9, MOST, id="anew"), pytest.param(0, MOST_KEPT, id="kept")]
)
@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_opening_many_files_costs_a_bounded_multiple_of_a_plain_loop(tmp_path, monkeypatch, count, fewest, most):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(question, "FEWEST", fewest)
    monkeypatch.setattr(folder_state, "SETTLED_NS", -(10**18))  # the links were made a moment ago
    folder = linked(write_fake_airbus(tmp_path / "few"), tmp_path / "airbus", count)
    open_source(AIRBUS, folder)  # which compares the tiles
    pairs = [(cpu_seconds(lambda: open_source(AIRBUS, folder)), cpu_seconds(lambda: plain(folder)))
             for _ in range(ROUNDS)]  # fmt: skip
    ratio = median(opening / loop for opening, loop in pairs)
    print(f"\nopening {count:,} files: {pairs} CPU s, ratio {ratio:.1f}")
    assert ratio < most
