"""Each flag of a row is raised by its cause, with the evidence, and by nothing else."""

from dataclasses import replace

import pytest
from fake_results import failed_record, fake_config, fake_record, write_trial

from bench.report.flags.flag import MEANINGS
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import load_results
from bench.results.trial_files import IMAGES


def raised(results) -> dict[str, str]:
    (group,) = groups(load_results(results))
    return {flag.name: flag.evidence for flag in group.ranked[0].flags}


def write(results, **parts):
    """Two seeds; `parts` replace values of the second one's record: speed={"harness_efficiency": 0.8}."""
    write_trial(results, *fake_record(fake_config(seed=0)), samples=0)
    record, table = fake_record(fake_config(seed=1))
    for name, values in parts.items():
        record = replace(record, **{name: {**getattr(record, name), **values}})
    return write_trial(results, record, table, samples=0)


def test_a_good_row_has_no_flag(tmp_path):
    write(tmp_path)
    assert raised(tmp_path) == {}
    (group,) = groups(load_results(tmp_path))
    assert "flags" not in group.columns


def test_a_backbone_that_stays_random_is_flagged(tmp_path):
    write(tmp_path, model={"random_frozen_params": 22_056_192})
    assert raised(tmp_path)["random backbone"].startswith("22,056,192 frozen weights")


def test_a_busy_machine_tells_nothing_of_the_input(tmp_path):
    noise = {"cpu_noise": {"train": {"others_share": 0.8}}}
    write(tmp_path, environment=noise, speed={"harness_efficiency": 0.5})
    assert "busy machine" in raised(tmp_path) and "input-bound" not in raised(tmp_path)


@pytest.mark.parametrize(
    ("pack", "gpu", "share", "told"),
    [
        ("none", None, 0.01, True),
        ("none", None, 0.5, False),
        ("disk", None, 0.01, False),
        ("none", "H200", 0.01, False),
    ],
)
def test_a_slow_training_that_does_not_wait_is_laid_to_decoding_only_on_a_cpu_and_without_a_pack(
    tmp_path, pack, gpu, share, told
):
    for seed in (0, 1):
        record, table = fake_record(fake_config(seed=seed))
        changed = {
            "config": {**record.config, "pack": pack},
            "environment": {**record.environment, "gpu": gpu},
            "speed": {**record.speed, "harness_efficiency": 0.63},
            "training": {**record.training, "input_wait_share": share},
        }
        write_trial(tmp_path, replace(record, **changed), table, samples=0)
    assert ("takes the cores that the steps compute on" in raised(tmp_path)["input-bound"]) == told


@pytest.mark.parametrize(
    ("parts", "flag", "evidence"),
    [
        ({"speed": {"harness_efficiency": 0.8}}, "input-bound", "0.8"),
        (
            {"speed": {"harness_efficiency": 0.8}, "training": {"input_wait_share": 0.42}},
            "input-bound",
            "; training waited for images in 42% of its time",
        ),
        ({"memory": {"search_problem": "OSError: boom"}}, "search failed", "OSError: boom"),
        ({"speed": {"train_images_per_second_iqr": 20.0}}, "noisy", "% of the median training speed"),
        ({"environment": {"jit_compile": False, "gpu": "NVIDIA H200"}}, "not compiled", "2 of 2 trials ran tensorflow"),
        (
            {"environment": {"cpu_noise": {"train": {"others_share": 0.354, "others_share_worst": 0.6}}}},
            "busy machine",
            "other processes took up to 35% of the CPU in 1 of 2 trials, 60% in the worst second",
        ),
        (
            {"environment": {"cpu_noise": {"profile": {"mhz": 1400}, "design_mhz": 2100, "governor": "powersave"}}},
            "frequency scaled",
            "1400 of 2100 MHz under load, governor powersave",
        ),
        (
            {"environment": {"cpu_noise": {"train": {"stopped_share": 0.34}, "limit_cores": 1.5}}},
            "throttled",
            "a limit of 1.5 cores stopped the trial in 34% of its periods",
        ),
        ({"training": {"stalled_seconds": 30.2}}, "stalled", "1 of 2 trials did not run, for 30.2 s in all"),
        (
            {"training": {"slow_block_seconds": 12.0}},
            "slow block",
            "waited within blocks of steps, for 12.0 s",
        ),
        ({"training": {"val_mean_iou_rise": 0.034}}, "not converged", "rose by 0.034 over the last fifth"),
        (
            {"training": {"train_mean_iou": 0.93, "train_gap": 0.22, "train_gap_se": 0.03}},
            "overfitting",
            "mean IoU 0.930 on training images, 0.710 on test images",
        ),
        (
            {"training": {"loss_spikes": 3, "worst_loss_spike": 7.24}},
            "loss spikes",
            "3 in 1 of 2 trials, up to 7.2 times the usual loss",
        ),
        ({"metrics": {"never_predicted": ["cat"]}}, "dead outputs", "never predicted: cat in 1 of 2 trials"),
        ({"training": {"gpu_idle_share": 0.4}}, "idle GPU", "idle in 40% of the training time"),
        ({"ledger": {"evaluate": 100.0}}, "long evaluation", "of the trial's time"),
        (
            {"environment": {"device_after": {"throttle_reasons": ["idle", "power cap"], "sm_clock_mhz": 1200}}},
            "throttled",
            "power cap in 1 of 2 trials; SM clock 1200 MHz",
        ),
        (
            {"environment": {"device_before": {"other_processes": 2}, "device_after": {"other_processes": 0}}},
            "shared device",
            "2 other processes",
        ),
        (
            {"environment": {"trials_at_once": 4}},
            "shared machine",
            "up to 4 trials ran at once",
        ),
        ({"metrics": {"majority_class_mean_iou": 1.8}}, "learned nothing", "most common class: 0.99"),
        ({"environment": {"dirty": True}}, "changed code", "1 of 2 trials"),
        ({"environment": {"commit": "abc"}}, "mixed versions", "commit abc, df01bb0"),
        (
            {"environment": {"versions": {"keras": "3.15.9", "tensorflow": "2.21.0"}}},
            "mixed versions",
            "keras 3.15.1, 3.15.9",
        ),
        ({"metrics": {"mean_iou": 0.1}}, "no interval", "doesn't give the record's score"),
    ],
)
def test_a_cause_raises_its_flag(tmp_path, parts, flag, evidence):
    write(tmp_path, **parts)
    assert evidence in raised(tmp_path)[flag]
    assert flag in MEANINGS


def test_harmless_states_raise_no_flag(tmp_path):
    quiet = {"others_share": 0.04, "others_share_worst": 0.5, "stopped_share": 0.01, "mhz": 2000}
    busy = {"others_share": 0.9, "mhz": 800}  # before and after the measurements
    noise = {"before": busy, "train": quiet, "profile": quiet, "after": busy, "design_mhz": 2100, "load": 9.0}
    state = {"throttle_reasons": ["idle", "application clocks setting"], "other_processes": 0}
    environment = {"device_before": state, "device_after": state, "cpu_noise": noise}
    training = {"val_mean_iou_rise": 0.004, "stalled_seconds": 0.0, "loss_spikes": 0, "gpu_idle_share": 0.05}
    uncertain = {"train_mean_iou": 0.93, "train_gap": 0.22, "train_gap_se": 0.12}
    write(tmp_path, environment=environment, training={**training, **uncertain}, metrics={"never_predicted": []})
    assert raised(tmp_path) == {}


@pytest.mark.parametrize(
    ("alone", "target", "evidence"),
    [
        (True, {}, None),
        (False, {}, "up to 4 trials ran at once"),
        (True, {"target": "mean_iou=0.1"}, "speed was measured alone, but not the seconds to the target"),
    ],
)
def test_a_shared_machine_is_no_flag_where_speed_was_measured_alone_but_for_times_to_a_target(
    tmp_path, alone, target, evidence
):
    record, table = fake_record(fake_config(seed=0, measure_alone=alone, **target))
    shared = {**record.environment, "trials_at_once": 4}
    write_trial(tmp_path, replace(record, environment=shared), table, samples=0)
    assert raised(tmp_path).get("shared machine") == evidence


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_steps_that_run_one_operation_after_the_other_are_said(tmp_path, backend):
    write_trial(tmp_path, *fake_record(fake_config(seed=0, backend=backend)), samples=0)
    assert raised(tmp_path)["not compiled"] == f"1 of 1 trials ran {backend} operation by operation"


def test_seeds(tmp_path):
    write_trial(tmp_path, *fake_record(fake_config(seed=0)))
    write_trial(tmp_path, failed_record(fake_config(seed=1)))
    assert raised(tmp_path) == {
        "single seed": "1 ok seed",
        "seeds failed": "1 of 2 trials are not ok",
    }


def test_flags_and_their_evidence_stand_on_the_page(tmp_path):
    (write(tmp_path, speed={"harness_efficiency": 0.5}) / IMAGES).unlink()
    write_report([tmp_path], tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text()
    assert text.count('<span class="badge">input-bound</span>') == 2  # in the table, and with its evidence
    assert "harness efficiency 0.73" in text or "harness efficiency 0.74" in text
    assert "no interval, input-bound" in (tmp_path / "out" / "LEADERBOARD.md").read_text()
