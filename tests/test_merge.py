"""Results of several machines merged into one folder: each trial once, conflicts named, sources untouched."""

from dataclasses import replace

import pytest
from fake_results import failed_record, fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.profiling.clock.timing_table import read_timings
from bench.results.dataframe import load_results
from bench.results.merged.merging import merge
from bench.results.merged.public_copy import without_paths
from bench.results.record_reader import read_record
from bench.results.store import ResultsFolder
from bench.results.trial_files import IMAGES


@pytest.fixture
def machines(tmp_path):
    """Two machines: unet on both, with the same record; a seed each of deeplab."""
    for number, name in enumerate(("one", "two")):
        write_trial(tmp_path / name, *fake_record(fake_config("unet")), samples=1)
        write_trial(tmp_path / name, *fake_record(fake_config("deeplab", "resnet50", seed=number)), samples=1)
    return tmp_path


def test_each_trial_comes_in_once_with_all_its_files(machines):
    merged = merge([machines / "one", machines / "two"], machines / "all")
    assert (len(merged.copied), merged.kept, merged.same, merged.conflicts) == (3, 0, 1, [])
    frame = load_results(machines / "all")
    assert sorted(zip(frame["arch"], frame["seed"], strict=True)) == [("deeplab", 0), ("deeplab", 1), ("unet", 0)]
    for folder in (machines / "all" / "trials").iterdir():
        if folder.is_dir():
            assert (folder / IMAGES).is_file() and list((folder / "samples").iterdir())
            assert read_timings(folder)
    again = merge([machines / "one", machines / "two"], machines / "all")
    assert (len(again.copied), again.kept, again.same) == (0, 3, 4)


def test_a_conflict_is_named_and_the_better_one_stays(machines):
    failed = failed_record(fake_config("unet", seed=5))
    write_trial(machines / "one", failed)
    good, table = fake_record(fake_config("unet", seed=5), key=failed.key)
    write_trial(machines / "two", good, table)
    write_trial(machines / "all", failed)
    merged = merge([machines / "one", machines / "two"], machines / "all")
    assert len(merged.conflicts) == 2 and "ok with mean IoU 0." in merged.conflicts[0]
    frame = load_results(machines / "all")
    assert frame.loc[frame["seed"] == 5, "status"].tolist() == ["ok"]


def test_other_trials_never_share_a_folder(machines):
    record, table = fake_record(fake_config("unet"))
    write_trial(machines / "three", replace(record, device="NVIDIA H200"), table)
    merge([machines / "one", machines / "three"], machines / "all")
    assert sorted(load_results(machines / "all")["device"]) == ["AMD EPYC 9654, 2 cores"] * 2 + ["NVIDIA H200"]


def test_a_trial_that_runs_is_left_alone(machines):
    results = ResultsFolder(machines / "all")
    results.create()
    name = next(p.name for p in (machines / "one" / "trials").iterdir() if p.name.startswith("unet") and p.is_dir())
    with results.claim(name).acquire(timeout=0):
        merged = merge([machines / "one"], machines / "all")
    assert any("it is running in" in problem for problem in merged.problems) and len(merged.copied) == 1


def test_bad_folders(machines):
    with pytest.raises(BenchError, match="There is no results folder"):
        merge([machines / "nothing"], machines / "all")
    (machines / "foreign").mkdir()
    (machines / "foreign" / "thesis.tex").touch()
    with pytest.raises(BenchError, match="isn't a results folder"):
        merge([machines / "one"], machines / "foreign")


def test_the_command_says_what_it_did(machines):
    call = ["merge", str(machines / "one"), str(machines / "two"), "--results", str(machines / "all")]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert "3 trials copied, 0 were already there, 1 duplicates, 0 conflicts." in result.stdout


@pytest.mark.parametrize("status", ["ok", "diverged"])
def test_what_ended_here_stays_although_theirs_is_later_or_better(machines, status):
    theirs, table = fake_record(fake_config("unet", seed=5), finished="2099-01-01T00:00:00+00:00")
    write_trial(machines / "one", theirs, table)
    mine = replace(theirs, status=status, finished="2026-01-01T00:00:00+00:00", metrics={"mean_iou": 0.1})
    folder = write_trial(machines / "all", mine, table)
    before = (folder / "record.json").read_bytes()
    merged = merge([machines / "one"], machines / "all")
    assert (folder / "record.json").read_bytes() == before
    (conflict,) = merged.conflicts
    assert f"{folder} kept" in conflict and "left out" in conflict and str(machines / "one") in conflict


@pytest.mark.parametrize("ending", [".running.replaced", ".lock", ".running.running.replaced", ".replaced.replaced"])
def test_no_name_in_theirs_touches_a_trial_that_runs_here(machines, ending):
    results = ResultsFolder(machines / "all")
    results.create()
    (theirs,) = (machines / "one" / "trials").glob("unet*[!k]")
    name = theirs.name
    theirs.rename(theirs.with_name(f"{name}{ending}"))
    results.running_folder(name).mkdir()
    (results.running_folder(name) / "trial.json").write_text("{}")
    with results.claim(name).acquire(timeout=0):
        merged = merge([machines / "one"], machines / "all")
        assert [path.name for path in results.running_folder(name).iterdir()] == ["trial.json"]
    assert any("it is running in" in problem for problem in merged.problems) and len(merged.copied) == 1


def test_a_record_here_that_cannot_be_read_is_not_replaced(machines):
    folder = write_trial(machines / "all", *fake_record(fake_config("unet")), samples=1)
    (folder / "record.json").write_text('{"schema_version": 99}')
    merged = merge([machines / "one"], machines / "all")
    assert (folder / "record.json").read_text() == '{"schema_version": 99}'
    assert any("left out, because mine can't be read" in problem for problem in merged.problems)


def test_a_trial_that_ended_while_all_was_read_stays(machines, monkeypatch):
    failed = failed_record(fake_config("unet", seed=5))
    good, table = fake_record(fake_config("unet", seed=5), key=failed.key)
    write_trial(machines / "one", good, table)
    folder = write_trial(machines / "all", failed)
    claim = ResultsFolder.claim

    def late(self, identity):
        if identity == folder.name and not late.done:
            late.done = True
            write_trial(machines / "all", replace(good, metrics={"mean_iou": 0.25}), table)
        return claim(self, identity)

    late.done = False
    monkeypatch.setattr(ResultsFolder, "claim", late)
    merged = merge([machines / "one"], machines / "all")
    assert read_record(folder).metrics == {"mean_iou": 0.25}
    assert any("it ended just now" in line for line in merged.conflicts)


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/home/ada/data sets/pets", "pets"),
        ("/home/ada/pets/", "pets"),
        ("~/pets", "pets"),
        ("C:\\Users\\Ada\\pets", "pets"),
        ("file:///home/ada/pets", "pets"),
        ("No file '/home/ada/pets/a.png' or /tmp/b.", "No file 'a.png' or b."),
        ("12 images/s, 1 / 2 of it", "12 images/s, 1 / 2 of it"),
        ("https://example.org/pets/a.zip", "https://example.org/pets/a.zip"),
        ("s3://bucket/pets", "s3://bucket/pets"),
        ("folder:photos", "folder:photos"),
        ("folder:/home/ada/my data/photos", "folder:photos"),
        ("No file 'C:\\Users\\Ada L\\a.png' here.", "No file 'a.png' here."),
        ('File "/home/ada l/a.py", line 3, in "/home/ada l/b/"', 'File "a.py", line 3, in "b"'),
        ("It failed in cwd:/home/ada/pets at once.", "It failed in cwd:pets at once."),
        ("See //server/ada/a.png and https://example.org/a.", "See a.png and https://example.org/a."),
    ],
)
def test_a_public_text_has_no_path_of_a_machine(text, public):
    assert without_paths({"config": [text]}) == {"config": [public]}


def test_a_public_copy_has_numbers_only_and_the_same_leaderboard(tmp_path):
    record, table = fake_record(fake_config(seed=0, data_dir="/home/ada/pets"))
    folder = write_trial(tmp_path / "own", replace(record, log_tail=["Traceback of ada"]), table, samples=2)
    (folder / "weights.weights.h5").write_bytes(b"weights")
    (folder / "log.txt").write_text("/home/ada", encoding="utf-8")
    merged = merge([tmp_path / "own"], tmp_path / "public", public=True)
    assert len(merged.copied) == 1
    (copied,) = (one for one in (tmp_path / "public" / "trials").iterdir() if one.is_dir())
    assert {path.name for path in copied.iterdir()} <= {
        "record.json",
        "history.jsonl",
        "images.parquet",
        "timings.parquet",
    }
    text = (copied / "record.json").read_text(encoding="utf-8")
    assert "home" not in text and "Traceback" not in text
    same = ["mean_iou", "peak_memory_mib", "key", "configuration"]
    own, public = (load_results(tmp_path / name)[same] for name in ("own", "public"))
    assert own.equals(public)
    again = merge([tmp_path / "own"], tmp_path / "public", public=True)
    assert (again.kept, again.same, again.conflicts) == (1, 1, [])
