"""Numbers over commits: points by commit and seed, changes with a known rate of false alarms, a file that grows."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_results import failed_record, fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.report.findings.boards.commits import commit_boards
from bench.report.render import write_report
from bench.results.loading import load
from bench.results.over_commits import change_points
from bench.results.over_commits.change_points import LEAST, changes, levels, likeliest
from bench.results.over_commits.point_file import append_points, read_points
from bench.results.over_commits.points import FIXED, FOLLOWED, Point, points_of
from bench.results.over_commits.timeline import timelines
from bench.results.trial_files import COMMITS

rng = np.random.default_rng


def point(number, speed=60.0, *, seeds=("0", "1"), **changes):
    values = {name: dict.fromkeys(seeds, 1.0) for name in FOLLOWED}
    values["train_images_per_second"] = dict.fromkeys(seeds, speed)
    one = Point(
        f"{number:040x}", False, f"2026-11-{number + 1:02d}T08:00:00", "c0ffee", "unet", "2 cores", "JAX", values
    )
    return replace(one, **changes)


def results(folder, commit, *, seeds=2, seconds=0.0, started="2026-07-01", dirty=False):
    for seed in range(seeds):
        record, table = fake_record(fake_config(seed=seed))
        environment = {**record.environment, "commit": commit, "dirty": dirty}
        times = {"wall_seconds": record.wall_seconds + seconds, "started": f"{started}T10:0{seed}:00+00:00"}
        write_trial(folder, replace(record, environment=environment, **times), table, samples=0)
    return folder


def test_a_point_has_each_number_by_seed_and_the_time_of_the_first_trial(tmp_path):
    folder = results(tmp_path, "abc", seconds=5.0)
    write_trial(folder, failed_record(fake_config(seed=2)), samples=0)
    record, table = fake_record(fake_config(seed=3))
    write_trial(folder, replace(record, environment={**record.environment, "commit": None}), table, samples=0)
    (one,) = points_of(load([folder]).trials)
    expected = fake_record(fake_config(seed=1))[0]
    assert (one.commit, one.time) == ("abc", "2026-07-01T10:00:00+00:00")
    assert set(one.values["mean_iou"]) == {"0", "1"}
    assert one.values["mean_iou"]["1"] == expected.metrics["mean_iou"]
    assert one.values[FIXED]["1"] == pytest.approx(expected.wall_seconds + 5 - expected.training["train_seconds"])


def test_a_changed_tree_is_a_point_of_its_own(tmp_path):
    points = [
        *points_of(load([results(tmp_path / "a", "abc")]).trials),
        *points_of(load([results(tmp_path / "b", "abc", dirty=True)]).trials),
    ]
    (line,) = timelines(points)
    (board,) = commit_boards([line])
    assert sorted(name for name, _ in board.rows) == ["abc", "abc with changes"]


def test_commits_are_in_the_order_of_the_checkout_and_else_of_time():
    points = [point(3), point(1), point(2)]
    order = {point(1).commit: 2, point(2).commit: 0, point(3).commit: 1}
    assert [p.commit[-1] for p in timelines(points, order)[0].points] == ["2", "3", "1"]
    assert [p.commit[-1] for p in timelines(points, {point(1).commit: 2})[0].points] == ["1", "2", "3"]


def test_means_are_over_the_seeds_that_all_commits_have():
    uneven = point(2, seeds=("0", "1", "2"))
    uneven.values["train_images_per_second"]["2"] = 600.0
    (line,) = timelines([point(1), uneven])
    assert line.values("train_images_per_second") == [60.0, 60.0]
    (line,) = timelines([point(1, seeds=("0",)), point(2, seeds=("7",))])
    assert any("no seed in common" in note for note in commit_boards([line])[0].notes)


def test_another_device_or_version_is_another_line():
    lines = timelines([point(n, device=device) for n in (1, 2) for device in ("2 cores", "an H200")])
    assert [line.label for line in lines] == ["unet, on 2 cores", "unet, on an H200"]


def series(count, place, step, seed):
    values = rng(seed).normal(60, 1, count)
    values[place:] += step
    return values.tolist()


@pytest.mark.parametrize("place", [4, 10, 17])
def test_a_step_is_found_where_it_is_even_if_it_is_recent(place):
    (found,) = changes(series(20, place, 8.0, 3), 0.005)
    assert found.place == place
    assert (found.before, found.after) == (pytest.approx(60, abs=1), pytest.approx(68, abs=1))


def test_two_steps_are_both_found():
    values = series(30, 10, 8.0, 1)
    values[20:] = [value - 16 for value in values[20:]]
    assert [one.place for one in changes(values, 0.01)] == [10, 20]


def test_equal_numbers_and_short_series_have_no_change():
    assert changes([0.62] * 40, 0.05) == []
    assert changes(series(LEAST - 1, 4, 100.0, 0), 0.05) == []


def test_false_alarms_of_all_series_together_keep_to_their_rate(monkeypatch):
    monkeypatch.setattr(change_points, "ORDERS", 499)
    alarms = 0
    for trial in range(100):
        many = [rng([trial, number]).normal(size=14).tolist() for number in range(4)]
        alarms += any(levels([likeliest(values)[1] for values in many]))
    assert alarms <= 12  # 5 expected; 13 or more in 0.1 % of runs


def test_the_board_marks_the_first_commit_of_a_level_and_says_if_it_is_worse():
    speeds = series(14, 9, -20.0, 2)
    (board,) = commit_boards(timelines([point(number, speed) for number, speed in enumerate(speeds)]))
    marked = [name for name, cells in board.rows if any(cell.text.endswith(" *") for cell in cells)]
    assert marked == [point(9).commit[:10]]
    assert any("worse" in note and "train" in note for note in board.notes)
    assert [len(row["changes"]) for row in board.records] == [0] * 9 + [1] + [0] * 4
    few = commit_boards(timelines([point(1), point(2)]))[0]
    assert any("too few" in note for note in few.notes)


def test_the_file_grows_by_what_it_lacks_and_survives_reading(tmp_path):
    file = tmp_path / "new" / "commits.jsonl"
    assert append_points(file, [point(1), point(2)]) == 2
    assert append_points(file, [point(2), point(3)]) == 1
    assert append_points(file, [point(3)]) == 0
    assert read_points(file) == [point(1), point(2), point(3)]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"values": {}}', '{"values": 3, "commit": "a"}'])
def test_a_broken_line_is_named_and_nothing_is_overwritten(tmp_path, line):
    file = tmp_path / "commits.jsonl"
    append_points(file, [point(1)])
    before = file.read_text(encoding="utf-8") + line + "\n"
    file.write_text(before, encoding="utf-8")
    with pytest.raises(BenchError, match="Line 2 of"):
        append_points(file, [point(2)])
    assert file.read_text(encoding="utf-8") == before


def test_the_command_shows_appends_and_writes_and_the_report_has_a_section(tmp_path):
    old, new = results(tmp_path / "old", "a" * 40), results(tmp_path / "new", "b" * 40, started="2026-08-01")
    file, numbers = new / COMMITS, tmp_path / "all.json"
    run = CliRunner().invoke(app, ["history", str(old), str(new), "--append", str(file), "--json", str(numbers)])
    assert run.exit_code == 0, run.output
    assert "2 added, of 2 given" in run.output and "aaaaaaaaaa" in run.output
    assert [row["commit"][0] for row in json.loads(numbers.read_text(encoding="utf-8"))] == ["a", "b"]
    write_report([new], tmp_path / "page")
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert 'id="commits"' in page and "bbbbbbbbbb" in page
    file.write_text("{\n", encoding="utf-8")
    write_report([new], tmp_path / "page")
    assert "Line 1 of" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_a_folder_without_commits_is_one_line(tmp_path):
    record, table = fake_record(fake_config(seed=0))
    write_trial(tmp_path, replace(record, environment={**record.environment, "commit": None}), table, samples=0)
    run = CliRunner().invoke(app, ["history", str(tmp_path)])
    assert run.exit_code == 2 or isinstance(run.exception, BenchError)
    assert "names the commit" in f"{run.output}{run.exception}"


def test_seeds_of_a_commit_in_several_folders_are_one_point_and_tuning_trials_none(tmp_path):
    folders, file = [tmp_path / name for name in ("one", "two")], tmp_path / COMMITS
    for seed, folder in enumerate(folders):
        for measure in ("quality", "validation"):
            record, table = fake_record(fake_config(seed=seed, measure=measure), key=f"{measure}-{seed}")
            record = replace(record, environment={**record.environment, "commit": "abc", "dirty": False})
            write_trial(folder, record, table, samples=0)
    for _ in range(2):
        run = CliRunner().invoke(app, ["history", *map(str, [*folders, folders[0]]), "--append", str(file)])
        assert run.exit_code == 0, run.output
    (one,) = read_points(file)
    assert set(one.values["mean_iou"]) == {"0", "1"}


def test_points_given_twice_are_added_once(tmp_path):
    assert append_points(tmp_path / COMMITS, [point(1), point(2), point(1)]) == 2
    assert [one.commit for one in read_points(tmp_path / COMMITS)] == [point(1).commit, point(2).commit]
