"""The gate's baselines by hardware class: which one new records are compared with, and what --update replaces."""

import json
import shutil
from pathlib import Path

import pytest
from fake_results import fake_config
from gate_records import SEEDS, folder, trial
from typer.testing import CliRunner

from bench.cli import app
from bench.results.gate import baseline, judge, measured
from bench.results.gate.limits import read_limits
from bench.results.gate.verdict import NOTED, OK, UNJUDGED, exit_code

HERE, GPU = "AMD EPYC 9654, 2 cores", "NVIDIA H200"
STORED = Path(__file__).parents[1] / "results" / "baseline.json"


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("bench.results.analysis.bootstrap.REPEATS", 200)


def records(path, **changes):
    return measured.from_results([folder(path, [trial(seed, **changes) for seed in SEEDS])])[0]


def memory(mib):
    return {"peak_memory_mib": mib, "method": "process RSS"}


def stored(tmp_path, **changes):
    baseline.write_baseline(tmp_path / "b.json", records(tmp_path / "base", **changes), {"reason": "first"})
    return tmp_path / "b.json"


def told(lines):
    return {line.metric: line.verdict for line in lines}


def test_an_unknown_class_is_one_line_and_only_memory_is_not_judged(tmp_path):
    file, new = stored(tmp_path), records(tmp_path / "new", device=GPU)
    found = judge.compare(baseline.read_baseline(file), new, read_limits())
    assert told(found) == {"mean_iou": OK, "params": OK, "hardware class": UNJUDGED}
    assert found[-1].subject.startswith(f"{GPU}, ") and f"which has: {HERE}, " in found[-1].reason
    assert "`make baseline REASON='why'`" in found[-1].reason and "memory is not judged" in found[-1].reason
    limits = [limit for limit in read_limits() if not limit.is_memory]
    found = judge.compare(baseline.read_baseline(file), new, limits)
    assert told(found)["hardware class"] == NOTED and exit_code(found) == 0


@pytest.mark.parametrize("option", [{"backend": "torch"}, {"precision": "mixed_bfloat16"}])
def test_a_class_whose_configurations_are_nowhere_stored_is_one_line(tmp_path, option):
    new = records(tmp_path / "new", configuration="b", config=fake_config("unet", **option).to_dict())
    (line,) = judge.compare(baseline.read_baseline(stored(tmp_path)), new, read_limits())
    assert line.verdict == UNJUDGED and "None has these configurations." in line.reason


def test_each_class_is_compared_with_its_own_baseline_and_replaced_alone(tmp_path):
    file = stored(tmp_path)
    gpu = records(tmp_path / "gpu", device=GPU, memory=memory(300.0))
    written, kept = baseline.write_baseline(file, gpu, {"reason": "GPU"})
    assert [one.device for one in written] == [GPU] and [one.device for one in kept] == [HERE]
    for new in (gpu, records(tmp_path / "base")):
        assert set(told(judge.compare(baseline.read_baseline(file), new, read_limits())).values()) == {OK}
    before = json.loads(file.read_text(encoding="utf-8"))["classes"][0]
    baseline.write_baseline(file, gpu, {"reason": "again"})
    values = json.loads(file.read_text(encoding="utf-8"))["classes"]
    assert values[0] == before
    assert [change["reason"] for change in values[1]["changes"]] == ["GPU", "again"]


def test_records_of_two_classes_are_judged_by_both(tmp_path):
    file = stored(tmp_path)
    new = [*records(tmp_path / "a"), *records(tmp_path / "b", device=GPU)]
    baseline.write_baseline(file, new, {"reason": "both"})
    found = judge.compare(baseline.read_baseline(file), new, read_limits())
    assert len(found) == 6 and {line.verdict for line in found} == {OK}


def test_a_file_of_the_first_schema_is_read_and_written_anew(tmp_path):
    file = stored(tmp_path)
    values = json.loads(file.read_text(encoding="utf-8"))
    configurations = [{**one, "device": HERE} for one in values["classes"][0]["configurations"]]
    old = {"schema_version": 1, "changes": [{"reason": "old"}], "configurations": configurations}
    file.write_text(json.dumps(old), encoding="utf-8")
    new = records(tmp_path / "base")
    assert set(told(judge.compare(baseline.read_baseline(file), new, read_limits())).values()) == {OK}
    baseline.write_baseline(file, new, {"reason": "new"})
    ((hardware, change),) = baseline.last_changes(file).items()
    assert (hardware.device, change) == (HERE, {"reason": "new"})


def test_update_names_the_classes_that_it_wrote_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    file = stored(tmp_path)
    records(tmp_path / "gpu", device=GPU)
    words = ["check", str(tmp_path / "gpu"), "--baseline", str(file)]
    assert CliRunner().invoke(app, words).exit_code == 3
    result = CliRunner().invoke(app, [*words, "--update", "--reason", "GPU"])
    assert f"New baseline of {GPU}, " in result.stderr and f"Kept as it was: {HERE}, " in result.stderr
    assert CliRunner().invoke(app, words).exit_code == 0


def test_the_stored_baseline_is_of_the_newest_schema_and_reads(tmp_path):
    shutil.copy(STORED, tmp_path / "b.json")
    assert json.loads(STORED.read_text(encoding="utf-8"))["schema_version"] == baseline.BASELINE_VERSION
    assert {subject.config["backend"] for subject in baseline.read_baseline(tmp_path / "b.json")} == {"jax"}
