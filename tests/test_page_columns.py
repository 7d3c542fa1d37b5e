"""The page's columns: score, speed and memory come first, and what all rows share is in the table's head."""

from fake_results import fake_config, fake_record, fake_results, write_trial

from bench.report.interactive.page_columns import page_columns, shared_values
from bench.report.leaderboard import groups
from bench.results.dataframe import load_results


def test_speed_and_memory_follow_the_score_and_flags_come_after_them(tmp_path):
    [group] = groups(load_results([fake_results(tmp_path)]))
    names = list(page_columns(group))
    start = names.index("mean_iou")
    wanted = ["mean_iou", "latency_ms_p95", "train_images_per_second", "peak_memory_mib", "process_peak_mib", "flags"]
    assert names[start : start + 6] == wanted and names[:3] == ["rank", "arch", "backbone"]
    assert set(group.columns) - set(names) == {"weights"} and shared_values(group) == {"weights": "none"}


def test_a_column_in_which_one_row_differs_stays(tmp_path):
    for arch, backbone, weights in (("unet", None, "none"), ("segnet", None, "imagenet")):
        write_trial(tmp_path, *fake_record(fake_config(arch, backbone, weights=weights)), samples=0)
    [group] = groups(load_results([tmp_path]))
    assert "weights" in page_columns(group) and shared_values(group) == {"backbone": "none"}
