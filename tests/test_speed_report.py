"""Speed-only trials in tables and reports: their own section, no ranks, and not in any leaderboard."""

from dataclasses import replace

from bench.core.specs import NO_DATASET
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.report.speed_tables import speed_boards
from bench.results.dataframe import trials_frame
from bench.results.loading import StoredTrial
from tests.fake_results import failed_record, fake_config, fake_record, write_trial


def speed_record(arch="unet", backbone=None, *, rate=100.0, seed=0, memory=None, **config):
    asked = fake_config(arch, backbone, seed, dataset=NO_DATASET, measure="speed", backend="jax", **config)
    record, _ = fake_record(asked)
    found = {"train_images_per_second": rate, "train_images_per_second_iqr": 0.02 * rate, "first_step_seconds": 31.0}
    found |= {"latency_ms_p50": 4.0, "latency_ms_p95": 5.0, "latency_ms_p99": 6.0}
    found |= {"inference_sweep": [[1, 250.0], [2, 400.0]], "sweep_end": "out of memory"}
    found |= {"best_inference_images_per_second": 400.0, "best_inference_batch_size": 2}
    return replace(
        record,
        key=f"{arch}-{backbone}-{seed}-{asked.batch_size}-{asked.precision}",
        dataset={"name": NO_DATASET, "fingerprint": NO_DATASET, "images": {}},
        metrics={},
        validation={},
        speed=found,
        memory={"peak_memory_mib": 900.0, "method": "device allocator", **(memory or {})},
    )


def boards(*records, tmp_path="."):
    return speed_boards(trials_frame(StoredTrial(record, tmp_path) for record in records))


def test_a_table_stands_for_each_image_size_the_fastest_first():
    slow, fast = speed_record(rate=90), speed_record("deeplab", "resnet50", rate=300, batch_size=32)
    other = speed_record(image_size=(256, 256), rate=20)
    first, second = boards(slow, fast, other)
    assert [board.title for board in (first, second)] == [
        f"Speed at {size} on {slow.device}" for size in ("128x128", "256x256")
    ]
    assert [row.cells["arch"] for row in first.rows] == ["deeplab:resnet50", "unet"]
    assert [row.cells["batch_size"] for row in first.rows] == ["32", "16"]
    assert first.rows[0].cells["best_inference_images_per_second"] == "400"
    assert "largest_batch" not in first.columns


def test_a_sweep_that_time_ended_gives_a_lower_bound():
    record = speed_record()
    (board,) = boards(replace(record, speed={**record.speed, "sweep_end": "15 s"}))
    assert board.rows[0].cells["best_inference_images_per_second"] == "\N{GREATER-THAN OR EQUAL TO} 400"
    assert board.rows[0].cells["train_images_per_second"] == "100"


def test_seeds_are_pooled_and_what_differs_has_a_column():
    (board,) = boards(
        *(speed_record(rate=rate, seed=seed) for seed, rate in enumerate((90, 110))),
        speed_record(precision="mixed_bfloat16", rate=200, augment="none"),
    )
    assert [row.cells["train_images_per_second"] for row in board.rows] == ["200", "100"]
    assert [row.cells["augment"] for row in board.rows] == ["none", "standard"]
    assert board.rows[1].titles["arch"] == "2 seeds"


def test_the_memory_that_decides_is_named_apart_and_records_without_it_say_so():
    told = speed_record(memory={"process_peak_mib": 1480.0, "reserved_peak_mib": 1024.0}, rate=50)
    (board,) = boards(told, speed_record("segnet"))
    names = ("peak_memory_mib", "process_peak_mib", "reserved_peak_mib")
    assert [board.columns[name][0] for name in names] == [
        "peak memory (MiB)",
        "memory to fit (MiB)",
        "memory, reserved (MiB)",
    ]
    cells = {row.cells["arch"]: [row.cells[name] for name in names] for row in board.rows}
    assert cells == {"unet": ["900", "1,480", "1,024"], "segnet": ["900", "not recorded", "not recorded"]}
    assert "decides whether it fits: 1,480 MiB" in str(board.terminal_table().caption)
    (old,) = boards(speed_record())
    assert "process_peak_mib" in old.columns and old.terminal_table().caption is None
    assert "reserved_peak_mib" not in old.columns and "process_peak_mib" not in old.rows[0].titles


def test_the_parts_of_host_memory_are_in_a_tooltip_and_take_no_columns():
    parts = {"host_anonymous_peak_mib": 463.3, "host_file_peak_mib": 241.6, "host_shared_peak_mib": 0.0}
    (board,) = boards(speed_record(memory={"process_peak_mib": 463.3, **parts}))
    told = board.rows[0].titles["process_peak_mib"]
    assert told == "peaks of the parts of host memory, in MiB: anonymous 463, file 242, shared 0"
    assert not set(parts) & {*board.columns, *board.rows[0].cells}


def test_leaderboards_and_speed_tables_keep_apart(tmp_path):
    trained, _ = fake_record(fake_config("unet"))
    frame = trials_frame(StoredTrial(record, tmp_path) for record in (trained, speed_record()))
    (group,) = groups(frame)
    assert [row.label for row in group.rows] == ["unet"] and group.fields["data set"] == "pets"
    (board,) = speed_boards(frame)
    assert len(board.rows) == 1


def test_a_noisy_speed_is_flagged_and_training_flags_are_left_out():
    record = speed_record(rate=100.0)
    record.speed["train_images_per_second_iqr"] = 60.0
    (board,) = boards(record)
    assert "speed" in board.rows[0].cells["flags"] or "noisy" in board.rows[0].cells["flags"]
    assert "single seed" not in board.rows[0].cells["flags"]
    assert "60%" in board.rows[0].titles["flags"]


def test_the_report_has_a_section_a_file_and_the_failures(tmp_path):
    write_trial(tmp_path, speed_record())
    config = fake_config("segnet", dataset=NO_DATASET, measure="speed", batch_size=4096)
    write_trial(tmp_path, failed_record(config, "out_of_memory", "RESOURCE_EXHAUSTED: 80 GiB asked"))
    report = write_report([tmp_path])
    page = (tmp_path / "report" / "index.html").read_text()
    assert 'id="speed"' in page and "Speed at 128x128" in page
    assert "RESOURCE_EXHAUSTED" in page and "random pixels" in page and "Only speed was measured" in page
    text = (tmp_path / "report" / "LEADERBOARD.md").read_text()
    assert "## Speed at 128x128" in text and "No trial is ok" not in text
    lines = (tmp_path / "report" / "speed.csv").read_text().splitlines()
    assert len(lines) == 2 and "100.0" in lines[1]
    assert not report.groups and len(report.speeds) == 1


def test_a_report_of_trainings_alone_has_no_section_of_speed(tmp_path):
    write_trial(tmp_path, *fake_record(fake_config("unet")))
    write_report([tmp_path])
    assert 'id="speed"' not in (tmp_path / "report" / "index.html").read_text()
    assert not (tmp_path / "report" / "speed.csv").exists()
