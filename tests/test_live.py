"""The live view and the plain lines, given the events of a run."""

import io
from dataclasses import replace

import pytest
from fake_results import failed_record, fake_config, fake_record
from rich.console import Console

from bench.commands.live import LiveView, view
from bench.commands.plain_lines import PlainLines, ending, name_of
from bench.core.specs import Budget
from bench.trials.plan import PlannedTrial

CONFIG = fake_config("unet", "resnet50", budget=Budget(100, "seconds"))
TRIALS = [
    PlannedTrial(replace(CONFIG, seed=seed), f"key{seed}", "all", "data", f"id{seed}", None, "a CPU")
    for seed in range(3)
]
DONE = PlannedTrial(CONFIG, "key", "all", "data", "done", fake_record(CONFIG)[0], "a CPU")
TRAINING = {"phase": "train", "fraction": 0.25, "loss": 0.5, "val_mean_iou": 0.4, "images_per_second": 99.6}


def console(terminal=False, width=100, clock=None):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, get_time=clock)


def drawn(observer, width=100):
    out = console(width=width)
    out.print(observer.render())
    return out.file.getvalue()


def test_the_observer_suits_the_console():
    with view(console()) as plain:
        assert isinstance(plain, PlainLines)
    with view(console(terminal=True)) as live:
        assert isinstance(live, LiveView)


def test_a_search_that_failed_is_told_at_the_end():
    record = replace(fake_record(CONFIG)[0], memory={"search_problem": "One image doesn't train: boom"})
    assert ", the largest batch was not found (One image doesn't train: boom), " in ending(record)


def test_a_tuning_trial_is_named_by_what_is_searched_alone():
    trial = replace(CONFIG, measure="validation", loss="dice", params={"depth": 3})
    with view(console(), searched=["lr", "param.depth"]) as lines:
        assert lines._name(trial) == "unet:resnet50 on pets, tuning: lr 0.001, param.depth 3"


def test_plain_lines_tell_start_each_validation_and_end():
    out = console()
    lines = PlainLines(out)
    lines.preparing("pets", 1, 240)
    lines.preparing("pets", 2, 240)
    lines.planned([DONE, *TRIALS])
    lines.started(TRIALS[0])
    for fraction, phase in ((0.02, "train"), (0.1, "validate"), (0.11, "train"), (0.15, "train"), (0.2, "train")):
        score = None if fraction < 0.11 else 0.4  # the same score twice is two validations
        lines.progressed(TRIALS[0], {**TRAINING, "fraction": fraction, "phase": phase, "val_mean_iou": score})
    lines.ended(TRIALS[0], replace(fake_record(CONFIG)[0], wall_seconds=71.2, metrics={"mean_iou": 0.7416}))
    lines.ended(TRIALS[1], failed_record(CONFIG, "failed", "ValueError: [boom]"))
    lines.elsewhere(TRIALS[2])
    told = out.file.getvalue().splitlines()
    speed = fake_record(CONFIG)[0].speed["train_images_per_second"]
    assert told == [
        "preparing pets: 240 images",
        "planned trials: 4; 1 done, 3 to run",
        "unet:resnet50 on pets, seed 0: started, budget 100s",
        "unet:resnet50 on pets, seed 0: 11% of the budget, loss 0.500, validation mean IoU 0.400, 100 images/s",
        "unet:resnet50 on pets, seed 0: 20% of the budget, loss 0.500, validation mean IoU 0.400, 100 images/s",
        f"unet:resnet50 on pets, seed 0: ok: mean IoU 0.742, {speed:.0f} images/s, 71 s",
        "unet:resnet50 on pets, seed 1: failed: ValueError: [boom]",
        "unet:resnet50 on pets, seed 2: skipped, because another runner is working on it",
    ]


def test_the_live_view_counts_and_estimates():
    now = [1000.0]
    out = console(clock=lambda: now[0])
    live = LiveView(out)
    live.preparing("pets", 30, 240)
    assert "preparing pets" in drawn(live)
    assert "30/240 images" in drawn(live)
    live.planned([DONE, *TRIALS])
    live.started(TRIALS[0])
    assert "1 done, 1 running, 2 left, about 5 min" in drawn(live)  # 3 budgets of 100 s
    live.progressed(TRIALS[0], TRAINING)
    frame = drawn(live)
    assert "25% of 100s" in frame
    assert "train, loss 0.500, validation mean IoU 0.400, 100 images/s, 75 s of training left" in frame
    live.ended(TRIALS[0], replace(fake_record(CONFIG)[0], wall_seconds=130.0))
    live.started(TRIALS[1])
    now[0] += 30.0
    # each takes 130 s like the first: 100 s are left of the second, 130 s for the third
    assert "2 done, 1 running, 1 left, about 4 min" in drawn(live)
    live.ended(TRIALS[1], failed_record(CONFIG, "failed", "ValueError: [boom]"))
    live.elsewhere(TRIALS[2])
    assert "2 done, 0 running, 1 failed, 0 left" in drawn(live)
    assert "failed: ValueError: [boom]" in out.file.getvalue()


@pytest.mark.parametrize("progress", [{}, {"phase": "compile", "fraction": 0.0, "loss": None}])
def test_a_budget_of_steps_has_no_estimate_before_it_trains(progress):
    live = LiveView(console())
    trial = replace(TRIALS[0], config=replace(CONFIG, budget=Budget(100, "steps")))
    live.planned([trial])
    live.started(trial)
    live.progressed(trial, progress)
    assert "about" not in drawn(live)
    live.progressed(trial, {"phase": "train", "fraction": 0.5, "train_seconds": 40.0})
    assert "40 s of training left" in drawn(live)
    assert "about 40 s" in drawn(live)


def test_a_long_phase_says_for_how_long_it_has_gone_on_and_each_phase_begins_anew():
    now = [1000.0]
    live = LiveView(console(clock=lambda: now[0]))
    live.planned(TRIALS)
    live.started(TRIALS[0])
    expected = (
        *(("build", 2.0, "build\n"), ("build", 10.0, "build for 12 s"), ("train", 30.0, "train, loss")),
        *(("evaluate", 1.0, "evaluate, loss"), ("evaluate", 119.0, "evaluate for 2 min, loss")),
    )
    for phase, seconds, line in expected:
        live.progressed(TRIALS[0], {"phase": phase, **({} if phase == "build" else {"loss": 0.5})})
        now[0] += seconds
        assert line in "\n".join(text.rstrip() for text in drawn(live).splitlines()) + "\n"


def test_a_narrow_terminal_loses_nothing():
    live = LiveView(console(width=60))
    config = replace(CONFIG, arch="unet_plus_plus", backbone="efficientnet_v2_b0", dataset="airbus_ships")
    trial = replace(TRIALS[0], config=config)
    live.planned([trial, TRIALS[1]])
    live.started(trial)
    live.progressed(trial, TRAINING)
    frame = drawn(live, width=60)
    for word in f"{name_of(config)} 25% of 100s train loss 0.500 IoU 0.400 100 images/s about 3 min".split():
        assert word in frame


def test_a_trial_of_speed_only_has_no_share_of_a_budget():
    live = LiveView(console())
    trial = replace(TRIALS[0], config=replace(CONFIG, measure="speed"))
    live.planned([trial])
    live.started(trial)
    live.progressed(trial, {"phase": "profile", "fraction": 0.0})
    assert "profile" in drawn(live)
    assert "%" not in drawn(live)


def test_a_trial_interrupted_before_its_start_only_ends():
    out = console()
    live = LiveView(out)
    live.planned(TRIALS)
    live.ended(TRIALS[0], failed_record(CONFIG, "interrupted", "Ctrl-C"))
    assert "interrupted: Ctrl-C" in out.file.getvalue()
