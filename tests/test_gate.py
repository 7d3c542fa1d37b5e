"""The regression gate on fake records: the changes that it passes, those it stops, and those it can't judge."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_results import failed_record, fake_config, fake_table
from gate_records import IMAGES, SEEDS, folder, trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.results.gate import baseline, judge, measured
from bench.results.gate.limits import Limit, read_limits
from bench.results.gate.timings import Timings
from bench.results.gate.verdict import BETTER, NOTED, OK, REGRESSION, UNJUDGED, exit_code
from bench.trials.children.revisions import Effort


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("bench.results.analysis.bootstrap.REPEATS", 200)


@pytest.fixture
def base(tmp_path):
    """A baseline file of one configuration with four seeds."""
    subjects, _ = measured.from_results([folder(tmp_path / "base", [trial(seed) for seed in SEEDS])])
    baseline.write_baseline(tmp_path / "baseline.json", subjects, {"reason": "first", "time": "t", "commit": "c"})
    return tmp_path / "baseline.json"


def lines(base, path, trials, limits=None):
    subjects, problems = measured.from_results([folder(path, trials)])
    assert not problems
    return judge.compare(baseline.read_baseline(base), subjects, limits or read_limits())


def verdicts(found):
    return {line.metric: line.verdict for line in found}


def other_seeds(**changes):
    return [trial(seed + 10, **changes) for seed in SEEDS]


def test_the_same_records_change_nothing(base, tmp_path):
    found = lines(base, tmp_path / "new", [trial(seed) for seed in SEEDS])
    assert verdicts(found) == {"mean_iou": OK, "params": OK, "peak_memory_mib": OK}
    assert all(line.change == 0 for line in found)
    assert exit_code(found) == 0


def test_a_baseline_file_gives_back_the_scores(base, tmp_path):
    (subject,) = baseline.read_baseline(base)
    (again,), _ = measured.from_results([tmp_path / "base"])
    assert subject.label == again.label == "unet on pets, budget 10epochs"
    for stored, fresh in zip(subject.trials, again.trials, strict=True):
        assert (stored.seed, stored.values) == (fresh.seed, fresh.values)
        np.testing.assert_array_equal(stored.counts, fresh.counts)
    assert base.stat().st_size < 25_000


def test_other_seeds_are_no_regression_and_a_worse_model_is(base, tmp_path):
    found = lines(base, tmp_path / "same", other_seeds())
    assert verdicts(found)["mean_iou"] == OK
    found = lines(base, tmp_path / "worse", other_seeds(quality=0.80))
    assert verdicts(found)["mean_iou"] == REGRESSION
    (line,) = (line for line in found if line.metric == "mean_iou")
    assert line.low < line.change < line.high < 0
    assert line.change == pytest.approx(line.new - line.base)
    assert exit_code(found) == 1
    found = lines(base, tmp_path / "better", other_seeds(quality=0.92))
    assert verdicts(found)["mean_iou"] == BETTER
    assert exit_code(found) == 0


def test_a_sure_drop_within_the_limit_passes(base, tmp_path):
    found = lines(base, tmp_path / "new", other_seeds(quality=0.80), [Limit("mean_iou", "lower", 0.2)])
    assert verdicts(found) == {"mean_iou": OK}


def test_parameters_are_exact_and_memory_has_a_limit(base, tmp_path):
    fewer = [trial(seed, model={"params": 31_031_684}) for seed in SEEDS]
    assert verdicts(lines(base, tmp_path / "params", fewer))["params"] == REGRESSION
    for share, verdict in ((1.08, OK), (1.2, REGRESSION), (0.8, BETTER)):
        memory = {"peak_memory_mib": 1000.0 * share, "method": "process RSS"}
        found = lines(base, tmp_path / f"memory{share}", [trial(seed, memory=memory) for seed in SEEDS])
        assert verdicts(found)["peak_memory_mib"] == verdict


def test_memory_read_in_another_way_is_not_judged(base, tmp_path):
    memory = {"peak_memory_mib": 1000.0, "method": "device allocator"}
    found = lines(base, tmp_path / "new", [trial(seed, memory=memory) for seed in SEEDS])
    assert verdicts(found)["peak_memory_mib"] == UNJUDGED


def data(fingerprint):
    return {"name": "pets", "fingerprint": fingerprint, "classes": ["pet", "background", "border"]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"configuration": "b", "dataset": data("f00d")}, "Other data: fingerprint '5f2c9d1ab77e' in the baseline"),
        ({"configuration": "b", "protocol_version": 2}, "Other protocol: 1 in the baseline, 2 now"),
        ({"configuration": "b"}, "has changed since the baseline"),
        (
            {"configuration": "b", "config": fake_config("unet", lr=0.5).to_dict()},
            "have no trial of this configuration",
        ),
    ],
    ids=["data", "protocol", "code", "missing"],
)
def test_sets_that_cannot_be_compared_say_why(base, tmp_path, changes, reason):
    found = lines(base, tmp_path / "new", [trial(seed, **changes) for seed in SEEDS])
    assert [line.verdict for line in found] == [UNJUDGED, NOTED]
    assert reason in found[0].reason
    assert exit_code(found) == 3


def test_other_images_and_too_few_seeds_are_not_judged(base, tmp_path):
    def renamed(seed):
        record, table = trial(seed)
        return record, table.assign(name=[f"other_{i}" for i in range(IMAGES)])

    found = lines(base, tmp_path / "images", [renamed(seed) for seed in SEEDS])
    assert found[0].reason == "The test images differ from those of the baseline."
    found = lines(base, tmp_path / "seed", [trial(0)])
    assert "4 in the baseline, 1 now" in found[0].reason
    found = lines(base, tmp_path / "tables", [(trial(seed)[0], None) for seed in SEEDS])
    assert found[0].reason == "There are no readable per-image tables."


def test_the_order_of_the_images_does_not_matter(base, tmp_path):
    def turned(seed):
        record, table = trial(seed)
        return record, table.iloc[::-1]

    found = lines(base, tmp_path / "new", [turned(seed) for seed in SEEDS])
    assert verdicts(found)["mean_iou"] == OK


def test_a_trial_that_now_fails_is_a_regression_and_one_interrupted_is_not_judged(base, tmp_path):
    hashed = {"configuration": "hash of unet"}
    crash = failed_record(fake_config("unet", seed=3), "diverged", "The loss is NaN.", **hashed)
    found = lines(base, tmp_path / "crash", [*(trial(seed) for seed in range(3)), (crash, None)])
    assert found[0].verdict == REGRESSION
    assert found[0].reason == "1 of 4 trials are not ok: diverged: The loss is NaN."
    stopped = failed_record(fake_config("unet", seed=3), "interrupted", "Ctrl-C", **hashed)
    found = lines(base, tmp_path / "stopped", [(stopped, None)])
    assert verdicts(found) == {"trials": UNJUDGED}


def test_the_same_seeds_are_compared_seed_by_seed(base, tmp_path):
    """Seeds differ by 0.05, and each loses 0.02: this is significant only if the seeds are paired."""
    luck = (0.75, 0.80, 0.85, 0.90)

    def subject(seeds, loss):
        rng = np.random.default_rng(7)
        tables = [fake_table(fake_config(seed=0), quality - loss, 400) for quality in luck]
        rng.shuffle(tables)
        columns = [name for name in tables[0] if name.startswith(("tp_", "fp_", "fn_"))]
        counts = [t[columns].to_numpy().reshape(400, 3, 3) for t in tables]
        trials = [
            measured.Measured(s, "ok", values={"mean_iou": 0.8}, counts=c) for s, c in zip(seeds, counts, strict=True)
        ]
        groups = tuple(map(str, range(400)))
        return measured.Subject("c", {"arch": "a", "dataset": "d"}, "f", 1, "cpu", "", "i", groups, tuple(trials))

    limits = [Limit("mean_iou", "lower", 0.01)]
    (paired,) = judge.compare([subject(range(4), 0)], [subject(range(4), 0.03)], limits)
    (apart,) = judge.compare([subject(range(4), 0)], [subject(range(4, 8), 0.03)], limits)
    assert paired.change == pytest.approx(apart.change)
    assert (paired.verdict, apart.verdict) == (REGRESSION, OK)
    assert paired.high - paired.low < 0.3 * (apart.high - apart.low)


def test_a_data_set_s_own_metric_is_judged_from_its_column(tmp_path):
    def own(seed, shift):
        record, table = trial(seed)
        column = np.linspace(0.5, 0.9, IMAGES) + shift + 0.001 * seed
        record = replace(record, metrics={**record.metrics, "airbus_f2": float(column.mean())})
        return record, table.assign(airbus_f2=column)

    subjects, _ = measured.from_results([folder(tmp_path / "base", [own(seed, 0) for seed in SEEDS])])
    baseline.write_baseline(tmp_path / "b.json", subjects, {"reason": "r"})
    limits = [Limit("airbus_f2", "lower", 0.01)]
    found = lines(tmp_path / "b.json", tmp_path / "worse", [own(seed, -0.05) for seed in SEEDS], limits)
    assert verdicts(found) == {"airbus_f2": REGRESSION}
    assert found[0].change == pytest.approx(-0.05)
    found = lines(tmp_path / "b.json", tmp_path / "none", [trial(seed) for seed in SEEDS], limits)
    assert found[0].reason == "Some per-image tables have no column airbus_f2."


def test_a_new_configuration_is_named_and_harmless(base, tmp_path):
    more = [trial(seed) for seed in SEEDS] + [trial(seed, arch="deeplab") for seed in SEEDS]
    found = lines(base, tmp_path / "new", more)
    assert (found[-1].subject, found[-1].verdict) == ("deeplab:resnet50 on pets, budget 10epochs", NOTED)
    assert exit_code(found) == 0


def test_more_seeds_of_equal_numbers_are_no_change(base, tmp_path):
    """The mean of six 0.051380224 differs from that of three in its last digit."""
    limits = [Limit("gflops", "any", 0.0)]
    few, many = (
        measured.Subject(
            "c", {}, "f", 1, "cpu", "", "", (), (measured.Measured(0, "ok", "", {"gflops": 0.051380224}),) * n
        )
        for n in (3, 6)
    )
    assert verdicts(judge.compare([few], [many], limits)) == {"gflops": OK}


def test_repeats_of_a_seed_are_no_further_seeds(base, tmp_path):
    record, table = trial(0)
    again = replace(record, repeat=1, key="again", config={**record.config, "repeat": 1})
    found = lines(base, tmp_path / "new", [(record, table), (again, table)])
    assert "4 in the baseline, 1 now" in found[0].reason


def test_false_alarms_are_as_rare_as_promised():
    """Fifty comparisons of 3 with 3 seeds of equal quality raise at most one alarm."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.1, IMAGES)

    def subject(quality):
        trials = []
        for seed in range(3):
            share = np.clip(quality + rng.normal(0, 0.01) + images + rng.normal(0, 0.05, IMAGES), 0.01, 0.99)
            right = (4096 * share).astype(np.int64)
            counts = np.stack([np.stack([right, 4096 - right, 4096 - right], axis=1)] * 2, axis=1)
            trials.append(measured.Measured(seed, "ok", values={"mean_iou": 0.5}, counts=counts))
        groups = tuple(str(i) for i in range(IMAGES))
        return measured.Subject("c", {"arch": "a", "dataset": "d"}, "f", 1, "cpu", "", "i", groups, tuple(trials))

    limits = [Limit("mean_iou", "lower", 0.0)]
    alarms = sum(exit_code(judge.compare([subject(0.7)], [subject(0.7)], limits)) for _ in range(50))
    caught = sum(exit_code(judge.compare([subject(0.7)], [subject(0.6)], limits)) for _ in range(10))
    assert alarms <= 1
    assert caught == 10


def bench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_the_command_prints_writes_and_returns_the_verdict(base, tmp_path, wide):
    worse = folder(tmp_path / "worse", other_seeds(quality=0.80))
    out, xml = tmp_path / "comment.md", tmp_path / "junit.xml"
    result = bench("check", worse, "--baseline", base, "--markdown", out, "--junit", xml)
    assert result.exit_code == 1
    assert result.stdout.startswith("Verdict on quality: regression. 1 regression, 0 better, 2 within the limits.")
    text = out.read_text()
    assert text.startswith("<!-- bench check -->\n### bench check: regression in quality\n")
    assert "| unet on pets, budget 10epochs | mean_iou |" in text.split("<details>")[0]
    assert f"bench check {worse} --baseline {base}\n" in text
    suite = ElementTree.parse(xml).getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["mean_iou"]
    assert bench("check", tmp_path / "base", "--baseline", base).exit_code == 0


def test_what_cannot_be_judged_is_3_and_an_error_in_junit(base, tmp_path, wide):
    new = folder(tmp_path / "new", [trial(seed, device="NVIDIA H200") for seed in SEEDS])
    xml = tmp_path / "junit.xml"
    result = bench("check", new, "--baseline", base, "--junit", xml)
    assert result.exit_code == 3
    assert "This class isn't in the baseline" in result.stdout
    assert ElementTree.parse(xml).getroot().get("errors") == "1"
    off = tmp_path / "limits.toml"
    off.write_text("peak_memory_mib = false")
    assert bench("check", new, "--baseline", base, "--limits", off).exit_code == 0


def test_update_writes_the_reason_and_keeps_the_earlier_ones(base, tmp_path, wide):
    worse = folder(tmp_path / "worse", other_seeds(quality=0.80))
    result = bench("check", worse, "--baseline", base, "--update", "--reason", "Smaller on purpose")
    assert result.exit_code == 0
    assert "regression" in result.stdout  # what it takes in is shown
    assert [change["reason"] for change in json.loads(base.read_text())["classes"][0]["changes"]] == [
        "first",
        "Smaller on purpose",
    ]
    assert bench("check", worse, "--baseline", base).exit_code == 0
    fresh = tmp_path / "fresh" / "baseline.json"
    assert bench("check", worse, "--baseline", fresh, "--update", "--reason", "New").exit_code == 0
    assert bench("check", worse, "--baseline", fresh).exit_code == 0


def test_speed_is_judged_from_the_pairs_of_both_revisions(tmp_path, monkeypatch, wide):
    seconds = np.full((2, 5), 0.010)
    found = {"train_step_time": Timings(seconds, 2 * seconds), "inference_time": Timings(seconds, seconds)}
    asked = []

    def fake(revision, configs, effort, progress):
        asked.append((revision, [(config.arch, config.seed) for config in configs], effort))
        return [(configs[0], found), (configs[1], "main can't be timed: no such net")]

    monkeypatch.setattr("bench.trials.children.revisions.time_against", fake)
    comment = tmp_path / "speed.md"
    result = bench("check", "--against", "main", "--processes", 2, "--pairs", 5, "--markdown", comment)
    assert asked == [("main", [("unet", 0), ("segnet", 0)], Effort(2, 5))]
    assert result.exit_code == 1
    cells = "| unet, jax | train_step_time | 10 ms | 20 ms | +100.0% \\[+100.0%, +100.0%\\] | 10% higher | regression |"
    assert cells in comment.read_text()
    assert "| unet, jax | inference_time | 10 ms | 10 ms | +0.0%" in comment.read_text()
    assert "main can't be timed: no such net" in comment.read_text()
    found["train_step_time"] = found["inference_time"]
    assert bench("check", "--against", "main", "--processes", 2, "--pairs", 5).exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--update",), "Give --update and --reason TEXT together"),
        (("--reason", "x"), "Give --update and --reason TEXT together"),
        (("--baseline", "none.json"), "The baseline 'none.json' can't be read"),
        (("--limits", "none.toml"), "The limits 'none.toml' can't be read"),
        (("--against", "HEAD", "--arch", "fcn8"), "The grid 'gate' has no architecture 'fcn8'. It has: unet, segnet"),
        (("--against", "no-such-revision"), "The revision 'no-such-revision' can't be read"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, wide, arguments, message):
    record, table = trial(0)
    result = bench("check", folder(tmp_path / "new", [(record, table)]), *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mean_iou = 0.1", "Accepted: a table, or false"),
        ("[mean_iou]\nlimt = 0.1", "Did you mean 'limit'"),
        ("[mean_iou]\nlimit = -1", "Accepted: a number from 0"),
        ("[mean_iou]\nlimit = '0.1'", "Accepted: a number from 0"),
        ("[mean_iou]\nlimit = nan", "Accepted: a number from 0"),
        ("[size_mib]\nlimit = 0.1", "'worse' of [size_mib]"),
        ("[mean_iou]\nworse = 'up'", "Accepted: lower, higher, any"),
        ("[train_step_time]\nlimit = 3", "Accepted: a share"),
        ("[latency_ms_p50]\nworse = 'higher'\nlimit = '10%'", "speed is never judged against stored seconds"),
        ("[mean_iou", "is no valid TOML"),
    ],
)
def test_limits_that_are_wrong_are_named(tmp_path, text, message):
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(BenchError, match=message.replace("[", r"\[").replace("]", r"\]")):
        read_limits(file)


def test_limits_change_and_add_to_the_built_in_ones(base, tmp_path):
    file = tmp_path / "limits.toml"
    file.write_text("params = false\n[mean_iou]\nlimit = '5%'\n[dice]\nworse = 'lower'\nlimit = 0.02")
    limits = {limit.metric: limit for limit in read_limits(file)}
    assert "params" not in limits
    assert str(limits["mean_iou"]) == "5% lower"
    assert limits["mean_iou"].allows(0.8, -0.04)
    assert not limits["mean_iou"].allows(0.8, -0.041)
    found = lines(base, tmp_path / "new", other_seeds(quality=0.80), list(limits.values()))
    assert verdicts(found) == {"mean_iou": REGRESSION, "dice": REGRESSION, "peak_memory_mib": OK}
    with pytest.raises(BenchError, match=r"Unknown metric 'mean_iuo'. Did you mean 'mean_iou'"):
        lines(base, tmp_path / "typo", other_seeds(), [Limit("mean_iuo", "lower", 0.1)])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1, "changes": [], "configurations": [{}]}'])
def test_a_broken_baseline_is_one_line(tmp_path, text):
    file = Path(tmp_path / "baseline.json")
    file.write_text(text)
    with pytest.raises(BenchError, match=r"isn't a baseline|is broken"):
        baseline.read_baseline(file)


def test_a_baseline_of_a_newer_schema_is_refused(base):
    base.write_text(json.dumps({**json.loads(base.read_text()), "schema_version": 99}))
    with pytest.raises(BenchError, match="newer segbench"):
        baseline.read_baseline(base)


def test_records_without_an_ok_trial_make_no_baseline(tmp_path):
    record = failed_record(fake_config("unet"))
    subjects, _ = measured.from_results([folder(tmp_path / "new", [(record, None)])])
    with pytest.raises(BenchError, match="No trial is ok"):
        baseline.write_baseline(tmp_path / "baseline.json", subjects, {})
