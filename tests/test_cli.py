"""The command line: what it says, prints and returns. Trials are faked; tests/test_trial.py runs real ones."""

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from fake_results import failed_record, fake_config, fake_record, fake_results, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.commands import doctor_facts
from bench.config import catalog
from bench.core.child_process import ChildEnded
from bench.core.specs import Budget
from bench.profiling.environment import expected_device, versions
from bench.results.store import ResultsFolder
from bench.results.trial_files import MARKER, PROGRESS, RECORD, REQUEST, write_json
from bench.trials.identity import trial_key
from bench.trials.plan import PlannedTrial

PLUGIN = str(Path(__file__).parent / "plugins" / "small_net.py")
CONFIG = fake_config("unet", "resnet50", budget=Budget(60, "seconds"))


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch):
    monkeypatch.setattr(catalog, "_plugins", {})
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def results(tmp_path):
    return fake_results(tmp_path / "results", nets=2, samples=1)


def bench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom bench.cli import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0 and 'prepare' in result.stdout, result.stdout\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--arch", "unett", "--dataset", "shapes"), "Unknown architecture 'unett'. Did you mean 'unet'"),
        (("run", "--arch", "unet:resnet", "--dataset", "shapes"), "Did you mean 'resnet50'"),
        (("run", "--arch", "unet", "--dataset", "pet"), "Unknown data set 'pet'. Did you mean 'pets'"),
        (("run", "--arch", "unet", "--dataset", "shapes", "--budget", "10x"), "Unknown budget '10x'. Accepted:"),
        (("run", "--arch", "unet", "--dataset", "shapes", "--image-size", "100"), "The next size that fits is 112x112"),
        (("run", "--arch", "unet", "--dataset", "shapes", "--weights", "no.h5"), "There is no weights file 'no.h5'"),
        (("run", "--arch", "unet", "--dataset", "pets", "--data-dir", "none"), "bench prepare pets"),
        (("run", "--arch", "unet", "--dataset", "pets", "--data-dir", "none", "--dry-run"), "bench prepare pets"),
        (("run", "--dataset", "shapes"), "No architecture is named. Give --arch; available: "),
        (("run", "--config", "none.toml"), "The file 'none.toml' can't be read"),
        (("prepare", "petz"), "Unknown data set 'petz'"),
        (("prepare", "shapes", "--image-size", "big"), "--image-size is 'big'"),
        (("prepare", "shapes", "--resize", "strech"), "Unknown value of --resize 'strech'. Did you mean 'stretch'"),
        (("list", "runs"), "There is no results folder 'results'. `bench run"),
        (("show", "x"), "There is no results folder 'results'. `bench run"),
        (("report",), "There is no results folder 'results'. `bench run"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = bench(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())  # nothing is written


@pytest.mark.parametrize("name", ["foreign", "newer"])
def test_a_folder_that_must_not_be_written_to_is_left_as_it_is(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    if name == "newer":
        (folder / MARKER).write_text(json.dumps({"schema_version": 999}))
    else:
        (folder / "thesis.tex").write_text("years of work")
    before = {path: path.read_text() for path in folder.iterdir()}
    for arguments in ((), ("--dry-run",)):
        result = bench(
            "run", "--arch", "unet", "--dataset", "shapes", "--image-size", 16, "--results", folder, *arguments
        )
        assert result.exit_code == 2
        assert "Give --results" in result.stderr or "another folder" in result.stderr
    assert {path: path.read_text() for path in folder.iterdir()} == before


def fake_runner(monkeypatch, outcome):
    """Replace the runner by one that returns records, or raises; returns what it was called with."""
    calls = []

    def run(configs, *, results, observer, force, **others):
        calls.append((configs, results, force))
        observer.planned(
            [PlannedTrial(config, "key", "all", "data", f"id{i}", None, "a CPU") for i, config in enumerate(configs)]
        )
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr("bench.trials.runner.run", run)
    return calls


def run_command(tmp_path, *arguments):
    return bench("run", "--arch", "unet", "--dataset", "shapes", "--seeds", 2, "--results", tmp_path / "r", *arguments)


def test_run_gives_the_grid_to_the_runner_and_prints_the_leaderboard(tmp_path, monkeypatch):
    calls = fake_runner(monkeypatch, [fake_record(replace(CONFIG, seed=seed))[0] for seed in (0, 1)])
    result = run_command(tmp_path, "--budget", "60s", "--param", "dropout=0.1,0.2", "--force")
    assert result.exit_code == 0, result.output
    configs, folder, force = calls[0]
    assert [(c.seed, c.params) for c in configs] == [(s, {"dropout": d}) for s in (0, 1) for d in (0.1, 0.2)]
    assert (folder, force, configs[0].budget) == (tmp_path / "r", True, Budget(60, "seconds"))
    assert "planned trials: 4; 0 done, 4 to run" in result.stdout
    assert "unet:resnet50" in result.stdout
    assert f"bench report {tmp_path / 'r'}" in result.stdout


def test_a_failed_trial_gives_exit_code_1(tmp_path, monkeypatch):
    fake_runner(monkeypatch, [fake_record(CONFIG)[0], failed_record(replace(CONFIG, seed=1))])
    assert run_command(tmp_path).exit_code == 1


def test_ctrl_c_gives_130(tmp_path, monkeypatch):
    fake_runner(monkeypatch, KeyboardInterrupt())
    result = run_command(tmp_path)
    assert result.exit_code == 130
    assert "The same command continues" in result.stderr


def test_ctrl_c_of_a_command_that_keeps_nothing_says_that_it_begins_anew(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.commands.evaluate_model.evaluate_model", stop)
    result = CliRunner().invoke(app, ["evaluate", "--model", "net.onnx", "--dataset", "shapes"])
    assert result.exit_code == 130
    assert "begins anew" in result.stderr and "continues" not in result.stderr


@pytest.mark.parametrize("place", ["typer", "bench.commands.show", None])
def test_ctrl_c_outside_a_command_prints_no_traceback(place):
    program = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {place!r}: raise KeyboardInterrupt\n"
        "def interrupt(): raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "import bench.cli\nbench.cli.app = interrupt\nbench.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_toml_file_gives_what_the_options_leave_out(tmp_path, monkeypatch):
    calls = fake_runner(monkeypatch, [])
    file = tmp_path / "grid.toml"
    file.write_text(f'arch = "deeplab"\ndataset = "shapes"\nlr = 0.01\nresults = "{tmp_path / "there"}"\n')
    assert bench("run", "--config", file, "--lr", "0.1").exit_code == 0
    (config,), folder, _ = calls[0]
    assert (config.arch, config.lr, folder) == ("deeplab", 0.1, tmp_path / "there")


def test_a_dry_run_shows_what_is_done_and_how_long_the_rest_takes(tmp_path, quick_backend):
    config = catalog.resolve_config(
        replace(CONFIG, dataset="shapes", backend=quick_backend, budget=Budget(10, "epochs"))
    )
    record = fake_record(config)[0]
    key = trial_key(config, record.dataset["fingerprint"])
    training = {**record.training, "epochs": 10.0, "train_seconds": 200.0}
    record = replace(record, key=key, device=expected_device(), wall_seconds=230.0, training=training)
    record = replace(record, environment={**record.environment, "versions": versions()})
    images = {"train": 200, "val": 40, "test": 100}  # as many are evaluated as in a trial to come: 14 of the 30 s
    record = replace(record, dataset={**record.dataset, "images": images})
    write_trial(tmp_path / "r", record)
    command = ("run", "--dataset", "shapes", "--backend", quick_backend, "--dry-run", "--results", tmp_path / "r")
    result = bench(*command, "--arch", "unet:resnet50", "--seeds", 3, "--budget", "10epochs")
    assert result.exit_code == 0, result.output
    # two seeds are left: 2 x 200 s of training, 2 x 30 s around it: 460 s
    assert "Done: 1, to run: 2. Time: about 8 min: 7 min of training, 60 s for everything else." in result.stdout
    forced = bench(*command, "--arch", "unet:resnet50", "--budget", "10epochs", "--force")
    assert "Done: 0, to run: 1. Time: about 4 min" in forced.stdout
    other = bench(*command, "--arch", "unet", "--budget", "10epochs,60s")
    assert "Done: 0, to run: 2. Time: 60 s of training for 1 of them, and unknown for 1 of them" in other.stdout


def test_a_dry_run_says_in_what_the_trials_differ(tmp_path, quick_backend):
    command = ("run", "--arch", "unet", "--dataset", "shapes", "--backend", quick_backend, "--dry-run")
    shown = bench(*command, "--results", tmp_path / "r", "--crop", "none,64", "--crop-foreground", 0.9).stdout
    assert "crop none" in shown and "crop 64x64" in shown


def test_a_dry_run_writes_nothing(tmp_path):
    assert run_command(tmp_path, "--dry-run").exit_code == 0
    assert not (tmp_path / "r").exists()


def test_a_dry_run_downloads_nothing_and_says_so(tmp_path, monkeypatch, quick_backend):
    monkeypatch.setattr("bench.data.source.fetch", lambda spec: pytest.fail("downloaded"))
    command = ("run", "--arch", "unet", "--dataset", "pets", "--backend", quick_backend, "--dry-run")
    result = bench(*command, "--results", tmp_path / "r")
    assert result.exit_code == 0, result.output
    assert "pets: its archives (774 MiB) will be downloaded unless they are in the cache" in result.stderr


def test_weights_that_no_backbone_takes_are_named(tmp_path, quick_backend):
    command = ("run", "--dataset", "shapes", "--backend", quick_backend, "--dry-run", "--results", tmp_path / "r")
    note = "unet has no backbone: it starts from scratch; --weights is not used."
    assert note in bench(*command, "--arch", "unet,deeplab", "--weights", "imagenet").stderr
    assert "backbone" not in bench(*command, "--arch", "unet,deeplab").stderr
    assert "backbone" not in bench(*command, "--arch", "deeplab", "--weights", "imagenet").stderr


def test_lists_name_everything_that_is_registered():
    architectures = bench("list", "architectures", "--plugin", PLUGIN).stdout
    assert all(
        name in architectures for name in ("unet", "deeplab", "small_net", "mobilenet_v2", "1505.04597", "31.06")
    )
    assert "resnet50" in bench("list", "backbones").stdout
    datasets = bench("list", "datasets").stdout
    assert all(name in datasets for name in ("pets-binary", "shapes", "generated by code", "downloaded, or --data-dir"))


def test_presets_are_listed_and_can_be_run(monkeypatch, tmp_path):
    assert "How far does a plain U-Net get on Carvana" in bench("list", "presets").stdout
    command = ("run", "--config", "unet-trials", "--dry-run", "--results", tmp_path / "r")
    assert "Planned trials: 16" in bench(*command, "--dataset", "shapes").stdout


def test_show_arch_prints_stages_backbones_and_parameters():
    shown = bench("show-arch", "unet", "--param", "filters=[4,8]", "--image-size", 32)
    assert shown.exit_code == 0
    for text in ("unet at 32 x 32, 3 classes", "encoder1", "logits", "vgg16, mobilenet", "kernel_size", "[4, 8]"):
        assert text in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name an architecture. Available: "),
        (("unett",), "Unknown architecture 'unett'. Did you mean 'unet'"),
        (("unet", "--param", "depth=1,2"), "Give --param depth a single value"),
        (("unet", "--image-size", "100"), "unet"),
    ],
)
def test_show_arch_refuses_in_one_line(arguments, message):
    shown = bench("show-arch", *arguments)
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
    assert message in shown.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("arch", "unet", "--backbone", "resnet50"), "`bench show-arch unet --backbone resnet50`"),
        (("dataset", "pets"), "`bench show-dataset pets`"),
        (("arch",), "`bench show-arch`"),
    ],
)
def test_the_old_words_of_show_name_the_new_command(old, new):
    shown = bench("show", *old)
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
    assert new in shown.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "some", "unet"),
        ("show", "run", "--backbone", "resnet50"),
        ("show-arch", "unet", "--contact-sheet", "x.png"),
        ("show-dataset", "shapes", "--plot", "x.png"),
    ],
)
def test_no_show_command_takes_what_it_does_not_use(arguments):
    assert bench(*arguments).exit_code == 2


def test_list_runs_shows_ended_running_and_abandoned_trials(results):
    folder = ResultsFolder(results)
    for identity in ("a_pets_s0_key1_dev", "b_pets_s0_key2_dev"):
        folder.running_folder(identity).mkdir()
        write_json(folder.running_folder(identity) / REQUEST, {"config": CONFIG.to_dict()})
    broken = folder.folder("broken")
    broken.mkdir()
    (broken / RECORD).write_text("{")
    with folder.claim("a_pets_s0_key1_dev").acquire(timeout=0):
        result = bench("list", "runs", "--results", results)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any("key1_dev" in line and " running " in line for line in lines)
    assert any("key2_dev" in line and " interrupted " in line for line in lines)
    assert any(" out_of_memory " in line for line in lines)
    assert sum(" ok " in line for line in lines) == 4
    assert "broken: record.json is broken" in result.stderr


@pytest.mark.parametrize("command", ["report", "recommend"])
def test_results_folders_that_are_arguments_are_said_to_be(command):
    result = bench(command, "--results", "old")
    assert result.exit_code == 2
    assert f"write `bench {command} FOLDER` without --results." in result.stderr


def test_the_version_is_shown():
    assert bench("--version").stdout.startswith("segbench ")


def test_a_trial_that_is_run_again_has_one_row(tmp_path):
    trial = write_trial(tmp_path, failed_record(fake_config()))
    for held in (True, False):
        running = ResultsFolder(tmp_path).running_folder(trial.name)
        running.mkdir(exist_ok=True)
        write_json(running / REQUEST, {"config": CONFIG.to_dict()})
        with ResultsFolder(tmp_path).claim(trial.name) if held else nullcontext():
            rows = bench("list", "runs", "--results", tmp_path).stdout.splitlines()[2:]
        words = " ".join(filter(None, rows)).split()
        assert ("running" in words, "failed" in words) == (held, not held), rows


def test_show_prints_a_whole_record(results):
    result = bench("show", "unet_None_0_", "--results", results)
    assert result.exit_code == 0, result.output
    shown = ("iou.border", "train_images_per_second", "ledger", "AMD EPYC 9654", "10epochs", "learning rate", "0.0009")
    assert [text for text in shown if text not in result.stdout] == []
    failed = bench("show", "unet_None_8", "--results", results).stdout
    assert "ValueError: boom" in failed
    assert "Traceback" in failed


def test_show_says_how_far_a_trial_without_record_is(results):
    folder = ResultsFolder(results)
    running = folder.running_folder("unet_pets_s0_key1_dev")
    running.mkdir()
    write_json(running / REQUEST, {"config": CONFIG.to_dict()})
    write_json(running / PROGRESS, {"phase": "train", "fraction": 0.25})
    with folder.claim("unet_pets_s0_key1_dev").acquire(timeout=0):
        result = bench("show", "key1_dev", "--results", results)
    assert result.exit_code == 0, result.output
    assert all(text in result.stdout for text in ("unet_pets_s0_key1_dev: running", "0.25", "train", "batch_size"))
    assert "unet_pets_s0_key1_dev: interrupted" in bench("show", "unet_pets", "--results", results).stdout


def test_show_wants_one_run(results):
    empty = bench("show", "", "--results", results)
    assert (empty.exit_code, "The run's id is empty" in empty.stderr) == (2, True)
    assert "matches 3 runs: unet_None_0" in bench("show", "unet_None", "--results", results).stderr
    none = bench("show", "zzz", "--results", results)
    assert (none.exit_code, "There is no run 'zzz'" in none.stderr) == (2, True)


def test_report_writes_the_page(results, tmp_path):
    result = bench("report", results, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"Report: {tmp_path / 'out' / 'index.html'}" in result.stdout
    assert (tmp_path / "out" / "LEADERBOARD.md").is_file()
    assert (tmp_path / "out" / "leaderboard.csv").is_file()


def test_prepare_packs_every_size_that_is_asked_for():
    result = bench("prepare", "stripes", "--plugin", PLUGIN, "--image-size", "16,8x16")
    assert result.exit_code == 0, result.output
    assert "stripes 16x16: 3 train, 1 val, 1 test" in result.stdout
    assert "stripes 8x16: 3 train, 1 val, 1 test" in result.stdout


def test_doctor_asks_backends_in_child_processes_and_says_how_to_install_the_others(monkeypatch):
    asked = []

    def answer(target, requests, backend, timeout):
        asked.append(backend)
        if backend == "jax":
            raise ChildEnded(f"no answer within {timeout:g} s")
        return [{"devices": "GPU:0"}]

    monkeypatch.setattr(doctor_facts, "installed", lambda name: name != "torch")
    monkeypatch.setattr(doctor_facts.importlib.metadata, "version", lambda name: "1.2")
    monkeypatch.setattr(doctor_facts, "ask", answer)
    result = bench("doctor")
    assert result.exit_code == 0, result.output
    assert set(asked) == {"tensorflow", "jax"}
    for text in (
        "1.2, GPU:0",
        "1.2, can't be used: no answer within 90 s",
        "pip install 'segbench[torch]'",
        "GiB free",
        "shapes",
    ):
        assert text in result.stdout
