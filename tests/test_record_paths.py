"""A file or folder that only a record names is read if it is a plain one; nothing else is waited for or touched."""

import json
import os
import socket
from pathlib import Path

import pytest
from fake_results import fake_config, fake_record, write_trial
from fakes import write_fake_pets
from typer.testing import CliRunner

from bench.cli import app
from bench.commands import verify
from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.untrusted.plain_files import require_plain
from bench.data.source import open_source
from bench.results.loading import StoredTrial
from bench.results.record_reader import read_record
from bench.results.trial_files import KEEP, RECORD, WEIGHTS
from bench.trials.plan import prepare_pack
from bench.trials.saved.stored_trials import on_data, trained_config

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX's"), pytest.mark.timeout(60)]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a data set, and with what is no file."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    write_fake_pets(tmp_path / "pets")
    for name in ("of_fifo", "of_socket", "linked"):
        write_fake_pets(tmp_path / name)
    os.mkfifo(tmp_path / "fifo")
    os.mkfifo(tmp_path / "of_fifo" / "annotations" / "new.txt")
    (tmp_path / "linked" / "images" / "new.jpg").symlink_to(tmp_path / "fifo")
    (tmp_path / "linked" / "again").symlink_to(tmp_path / "linked")
    monkeypatch.chdir(tmp_path / "of_socket")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
    trial = tmp_path / "trial"
    trial.mkdir()
    os.mkfifo(trial / RECORD)
    return tmp_path


def results_with(place: Path, **config: object) -> Path:
    """Two seeds of one run, whose records have that configuration."""
    for seed in range(2):
        record, table = fake_record(fake_config(seed=seed), weights={"file": WEIGHTS})
        folder = write_trial(place / "results", record, table, samples=0)
        (folder / WEIGHTS).write_bytes(b"")
        values = json.loads((folder / RECORD).read_text())
        values["config"] |= config
        (folder / RECORD).write_text(json.dumps(values))
    return folder


ODD = {
    "data in a FIFO": ({"data_dir": "fifo"}, "fifo' is a FIFO"),
    "data in a device": ({"data_dir": "/dev/zero"}, "'/dev/zero' is a device"),
    "a FIFO in the data": ({"data_dir": "of_fifo"}, "annotations/new.txt' is a FIFO"),
    "a socket in the data": ({"data_dir": "of_socket"}, "of_socket/socket' is a socket"),
    "a link to a FIFO in the data": ({"data_dir": "linked"}, "linked/images/new.jpg' is a FIFO"),
    "a folder of devices": ({"data_dir": "/dev"}, "' is a "),
    "a folder that is a FIFO": ({"dataset": "folder:fifo"}, "fifo' is a FIFO"),
    "a folder with a FIFO": ({"dataset": "folder:of_fifo"}, "annotations/new.txt' is a FIFO"),
    "a library's folder with a FIFO": ({"dataset": "hf:of_fifo"}, "annotations/new.txt' is a FIFO"),
    "a FIFO as table of classes": (
        {"dataset": "tfds:x", "data_dir": "pets", "dataset_params": {"classes": "fifo"}},
        "fifo', and there is no such file",
    ),
    "weights in a FIFO": ({"backbone": "mobilenet_v2", "weights": "fifo"}, "fifo' is a FIFO"),
    "weights in a device": ({"backbone": "mobilenet_v2", "weights": "/dev/zero"}, "'/dev/zero' is a device"),
    "another run in a FIFO": ({"init_from": "fifo"}, "isn't the folder of a trial"),
    "another run whose record is a FIFO": ({"init_from": "trial"}, "isn't the folder of a trial"),
}


def absolute(config: dict, place: Path) -> dict:
    """The configuration with the places of the fixture in the place of their names."""
    names = {"fifo", "of_fifo", "of_socket", "linked", "trial", "pets"}

    def of(value: object) -> object:
        if isinstance(value, dict):
            return {name: of(inner) for name, inner in value.items()}
        prefix, _, name = str(value).rpartition(":")
        return f"{prefix}:{place / name}".removeprefix(":") if name in names else value

    return {name: of(value) for name, value in config.items()}


@pytest.mark.parametrize(("config", "said"), ODD.values(), ids=ODD)
def test_verify_names_what_is_no_file_and_never_waits(place, config, said):
    run = results_with(place, **absolute(config, place))
    answer = CliRunner().invoke(app, ["verify", run.name, "--results", str(place / "results")])
    line = " ".join(answer.output.split())
    assert answer.exit_code == 2 and isinstance(answer.exception, SystemExit), (line, answer.exception)
    assert said in line, line


@pytest.mark.parametrize("name", [name for name in ODD if "data" in name or "folder" in name])
def test_evaluate_names_what_is_no_file_and_never_waits(place, name):
    config, said = ODD[name]
    run = results_with(place, **absolute(config, place))
    with pytest.raises(BenchError, match=said.replace("/", ".")):
        prepare_pack(on_data(trained_config(StoredTrial(read_record(run), run))))


def test_the_user_can_name_other_data(place):
    run = results_with(place, data_dir=str(place / "fifo"))
    config = on_data(trained_config(StoredTrial(read_record(run), run)), data_dir=place / "pets")
    assert len(prepare_pack(config).names) == 12


def test_what_only_the_record_names_is_said(place, monkeypatch):
    run = results_with(place, data_dir=str(place / "pets"))
    monkeypatch.setattr(verify, "start", lambda *_: [])
    line = f"The record names the data_dir '{place / 'pets'}', which is read."
    command = ["verify", run.name, "--results", str(place / "results")]
    assert line in CliRunner().invoke(app, command).stderr
    assert line not in CliRunner().invoke(app, [*command, "--data-dir", str(place / "pets")]).stderr


def test_weights_of_another_results_folder_are_not_marked(place):
    other, table = fake_record(fake_config(seed=7), weights={"file": WEIGHTS})
    theirs = write_trial(place / "elsewhere", other, table, samples=0)
    (theirs / WEIGHTS).write_bytes(b"")
    run = results_with(place, init_from=str(theirs), data_dir=str(place / "of_fifo"))
    answer = CliRunner().invoke(app, ["verify", run.name, "--results", str(place / "results")])
    assert "annotations/new.txt' is a FIFO" in " ".join(answer.output.split())  # while the trials were planned
    assert not (theirs / KEEP).exists()


def test_a_folder_that_leads_to_itself_is_looked_into_once(place):
    (place / "linked" / "images" / "new.jpg").unlink()
    require_plain(place / "linked")
    spec, _ = catalog.find_dataset("pets")
    assert len(open_source(spec, place / "linked").samples) == 12
