"""The gate's comparison of pytest-benchmark's JSON files: what it judges, what it lists, and what it refuses."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.results.gate.benchmark_files import compare_benchmarks
from bench.results.gate.limits import DEFAULTS, Limit
from bench.results.gate.verdict import BETTER, NOTED, OK, REGRESSION


def write(path, **rounds):
    benchmarks = [{"fullname": f"tests/benchmarks/{n}", "stats": {"data": list(s)}} for n, s in rounds.items()]
    path.write_text(json.dumps({"benchmarks": benchmarks}), encoding="utf-8")


def pairs(folder, *, slower=1.0, count=5, rounds=40, seed=0, **extra):
    """Write pairs of files whose processes differ by 5 %, as on a shared machine."""
    rng = np.random.default_rng(seed)
    for number in range(1, count + 1):
        for side, factor in (("base", 1.0), ("new", slower)):
            process = factor * rng.lognormal(0, 0.05)
            write(folder / f"{side}-{number}.json", one=1e-3 * process * rng.lognormal(0, 0.05, rounds), **extra)


@pytest.mark.parametrize(("slower", "verdict"), [(1.0, OK), (1.15, OK), (1.6, REGRESSION), (0.5, BETTER)])
def test_a_change_beyond_the_limit_is_a_verdict(tmp_path, slower, verdict):
    pairs(tmp_path, slower=slower)
    (line,), few = compare_benchmarks(tmp_path, DEFAULTS)
    assert not few
    assert (line.subject, line.metric, line.verdict) == ("one", "benchmark_time", verdict)
    assert line.change == pytest.approx(slower - 1, abs=0.12 * slower)


def test_equal_code_raises_no_alarm(tmp_path):
    verdicts = []
    for seed in range(200):
        pairs(tmp_path, seed=seed)
        verdicts += [line.verdict for line in compare_benchmarks(tmp_path, DEFAULTS)[0]]
    assert verdicts.count(REGRESSION) <= 1


def test_benchmarks_that_one_side_lacks_or_that_have_few_rounds_are_listed(tmp_path):
    pairs(tmp_path, count=2, rounds=1)
    write(tmp_path / "base-1.json", one=[1.0], gone=[1.0] * 20)
    write(tmp_path / "base-2.json", one=[1.0], gone=[1.0] * 20)
    (line,), few = compare_benchmarks(tmp_path, DEFAULTS)
    assert (line.subject, line.verdict, line.reason) == ("gone", NOTED, "Only the base has it.")
    assert few == ["one"]
    assert compare_benchmarks(tmp_path, [Limit("mean_iou", "lower", 0.0)]) == ([], [])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"benchmarks": [{"fullname": "x", "stats": {"median": 1}}]}', "[[[["]
)
def test_another_file_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "base-1.json").write_text(text, encoding="utf-8")
    (tmp_path / "new-1.json").write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match="is no JSON of pytest-benchmark"):
        compare_benchmarks(tmp_path, DEFAULTS)
    with pytest.raises(BenchError, match="make benchmark-against"):
        compare_benchmarks(tmp_path / "..", DEFAULTS)


def test_the_command_compares_with_the_file_of_make_benchmark_and_exits_by_the_verdict(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs(tmp_path, slower=2.0, count=1)
    missing = CliRunner().invoke(app, ["check", "--benchmarks", "base-1.json"])
    assert missing.exit_code != 0 and "`make benchmark` writes it." in missing.output.replace("\n", " ")
    (tmp_path / "build").mkdir()
    (tmp_path / "new-1.json").rename(tmp_path / "build" / "benchmark.json")
    told = CliRunner().invoke(app, ["check", "--benchmarks", "base-1.json", "--markdown", "c.md"])
    assert told.exit_code == 1 and "regression" in (tmp_path / "c.md").read_text(encoding="utf-8").lower()
