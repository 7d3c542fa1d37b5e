"""The pull-request comment of `bench check`: the verdict on top, the worst first, within GitHub's limit, harmless."""

import pytest
from gate_records import SEEDS, folder, trial
from typer.testing import CliRunner

from bench.cli import app
from bench.report.text.gate_comment import MARKER, comment
from bench.report.text.gate_report import by_importance, noise, verdict
from bench.results.gate import baseline, judge, measured
from bench.results.gate.verdict import ALARMS, BETTER, NOTED, OK, REGRESSION, UNJUDGED, Line

SLOW = Line("unet, jax", "train_step_time", REGRESSION, 10.0, 15.0, 0.5, 0.2, 0.9, "10% higher")
WORSE = Line("unet", "mean_iou", REGRESSION, 0.8, 0.7, -0.1, -0.12, -0.08, "0.01 lower")
MIXED = [
    Line("a", "params", OK, 5.0, 5.0, 0.0),
    Line("b", "params", BETTER, 5.0, 4.0, -1.0),
    Line("c", "trials", NOTED, reason="new"),
    WORSE,
    Line("d", "trials", UNJUDGED, reason="no trial"),
    SLOW,
    Line("e", "trials", REGRESSION, 3.0, 2.0, reason="1 of 3 trials are not ok"),
]


def test_the_worst_is_first_in_its_own_unit():
    assert [line.subject for line in by_importance(MIXED)] == ["e", "unet, jax", "unet", "d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (MIXED, "Verdict on quality and speed: regression in quality and speed. 3 regressions, 1 not judged, "),
        ([SLOW, MIXED[0]], "Verdict on quality and speed: regression in speed. 1 regression, 0 better, 1 within"),
        ([SLOW], "Verdict on speed: regression. 1 regression, "),
        (MIXED[:2], "Verdict on quality: no regression. 1 better, 1 within the limits."),
        ([MIXED[0], MIXED[4]], "Verdict on quality: not everything could be judged. 1 not judged, "),
        ([Line("x", "benchmark_time", OK), Line("y", "speed", UNJUDGED)], "Verdict on speed and benchmarks: not every"),
    ],
)
def test_one_line_says_what_was_judged_and_what_is_worse(lines, text):
    assert verdict(lines).startswith(text)


def test_the_noise_is_that_of_the_widest_interval_of_a_speed():
    calm = Line("unet, jax", "inference_time", OK, 1.0, 1.0, 0.0, -0.01, 0.01)
    assert "up to 25% slower (unet, jax, train_step_time)" in noise([calm, SLOW])  # 1.5 / 1.2
    assert noise([WORSE]) == ""


def test_a_comment_shows_what_changed_and_folds_the_rest():
    text = comment(MIXED, {"this code": "abc", "machine": "CPU | 2 cores"}, "bench check gate")
    assert text.startswith(f"{MARKER}\n### bench check: regression in quality and speed\n")
    shown, folded, tail = text.split("<details>")
    assert "| b | params |" in shown and "| a | params |" not in shown and "| a | params |" in folded
    assert "| this code | abc |" in tail and "CPU \\| 2 cores" in tail and "```sh\nbench check gate\n```" in tail


@pytest.mark.parametrize("name", ["net", "ü" * 300, "<b>|@everyone</b>\n\n</details>"])
def test_a_comment_of_any_size_stays_below_the_limit_of_github(name):
    lines = [Line(f"{name}{number}", "params", REGRESSION, 1.0, 2.0, 1.0) for number in range(3000)]
    text = comment(lines, {"machine": name * 20}, f"bench check {name}```\n")
    assert len(text.encode()) < 65_536
    assert "more rows don't fit into a comment" in text and text.splitlines().count("</details>") == 2
    assert "<b>" not in text.split("```sh")[0]


@pytest.mark.parametrize(("more", "parts"), [([], 1), (["--benchmarks", "none.json"], 2)])
def test_the_parts_of_a_command_share_the_false_alarms(tmp_path, monkeypatch, more, parts):
    found = measured.from_results([folder(tmp_path / "r", [trial(seed) for seed in SEEDS])])[0]
    baseline.write_baseline(tmp_path / "b.json", found, {"reason": "first"})
    asked = []
    monkeypatch.setattr(judge, "compare", lambda base, new, limits, alarms: asked.append(alarms) or [])
    monkeypatch.setattr(
        "bench.results.gate.benchmark_files.compare_benchmarks",
        lambda base, limits, alarms: asked.append(alarms) or ([], []),
    )
    words = ["check", str(tmp_path / "r"), "--baseline", str(tmp_path / "b.json"), *more]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert asked == [ALARMS / parts] * parts
