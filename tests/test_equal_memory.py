"""The image size of each architecture within a limit of memory, which is measured once and kept."""

import json
from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, write_trial
from hypothesis import given, settings
from hypothesis import strategies as st
from running import CONFIG
from typer.testing import CliRunner

from bench import api
from bench.cli import app
from bench.config import grid
from bench.core.errors import BenchError
from bench.core.trial_config import LARGEST_SIDE, TrialConfig
from bench.report.findings.equal_cost_board import equal_costs
from bench.report.leaderboard import groups
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.results.merged.merging import merge
from bench.results.sizes import kept_memory
from bench.results.sizes.kept_memory import Needed
from bench.results.sizes.noted_limits import note_limit, noted_limits
from bench.results.store import ResultsFolder
from bench.trials import batch_search
from bench.trials.batch_search import AboveLimit, DoesNotTrain, Probed
from bench.trials.identity import trial_key
from bench.trials.image_sizes.measured_size import FINE, MARGIN, Place, memory_question
from bench.trials.image_sizes.within_limit import sized

DEVICE = "AMD EPYC 9654, 2 cores"


def grid_of(**options):
    return grid.expand({"arch": "unet", "dataset": "shapes", "param": ["filters=[4,8]"], **options})


class Machine:
    """A machine on which training needs `mib(side)`; `tried` has the sides that were measured."""

    def __init__(self, mib, ends_early=True, memory=1e9):
        self.mib, self.ends_early, self.memory, self.tried = mib, ends_early, memory, []

    def __call__(self, config, *, most_mib=None, variables=None, echo=True):
        side = config.image_size[0]
        self.tried.append(side)
        needed = self.mib(side)
        if self.ends_early and most_mib and needed > most_mib:
            raise AboveLimit("more memory than the limit")
        if needed > self.memory:
            raise DoesNotTrain("out of memory")
        return Probed(needed - 100, needed, "NVML by process")


@pytest.fixture
def machine(monkeypatch):
    def use(*given, **more):
        made = Machine(*given, **more)
        monkeypatch.setattr(batch_search, "try_training", made)
        return made

    return use


def choose(place, told=None, **options):
    return sized(grid_of(**options), (told if told is not None else []).append, place)


@settings(deadline=None, max_examples=60)
@given(
    limit=st.floats(50, 1e5),
    base=st.floats(1, 5000),
    square=st.floats(1e-4, 1),
    depth=st.integers(1, 6),
    ends_early=st.booleans(),
)
def test_the_size_fits_and_the_next_but_a_little_does_not(tmp_path_factory, limit, base, square, depth, ends_early):
    made = Machine(lambda side: base + square * side**2, ends_early)
    step = 2**depth
    options = {"same_memory_mib": limit, "param": [f"filters={[4] * (depth + 1)}"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_search, "try_training", made)
        place = Place(tmp_path_factory.mktemp("results"), DEVICE)
        fits = limit * (1 - MARGIN)
        if made.mib(step) > fits:
            with pytest.raises(BenchError, match="Give a higher one"):
                choose(place, **options)
        else:
            (config,) = choose(place, **options)
            side = config.image_size[0]
            near = side + step * max(1, side // step // FINE)
            assert made.mib(side) <= fits
            assert near > LARGEST_SIDE or made.mib(near) > fits
            assert config.sized_memory_mib == pytest.approx(made.mib(side), abs=0.06)
    assert len(made.tried) == len(set(made.tried)) <= 16


def test_noise_in_a_second_run_changes_neither_size_nor_key(machine, tmp_path):
    place = Place(tmp_path, DEVICE)
    machine(lambda side: 300 + side**2 / 40)
    (first,) = choose(place, same_memory_mib=1000)
    again = machine(lambda side: 400 + side**2 / 30)
    (second,) = choose(place, same_memory_mib=1000)
    assert again.tried == [] and first == second
    (other,) = choose(Place(tmp_path, "another device"), same_memory_mib=1000)
    assert again.tried and other.image_size < first.image_size


def test_a_later_option_at_its_default_measures_nothing_again():
    (config,) = grid_of(image_size=64)
    asked = json.loads(memory_question(config, DEVICE))
    assert asked.keys() >= {"arch", "image_size", "device", "software"} and "jit" not in asked
    assert json.loads(memory_question(replace(config, jit="on"), DEVICE))["jit"] == "on"


def test_a_higher_limit_measures_again_only_what_was_ended_early(machine, tmp_path):
    place = Place(tmp_path, DEVICE)
    low = machine(lambda side: 300 + side**2 / 40)
    choose(place, same_memory_mib=1000)
    high = machine(lambda side: 300 + side**2 / 40)
    choose(place, same_memory_mib=4000)
    known = [side for side in low.tried if 300 + side**2 / 40 <= 1000 * (1 - MARGIN)]
    assert known and not set(known) & set(high.tried)


def test_the_distance_is_stated_and_each_measurement_said(machine, tmp_path):
    machine(lambda side: 300 + side**2 / 40)
    told = []
    (config,) = choose(Place(tmp_path, DEVICE), told, same_memory_mib=1000)
    assert told[0] == "unet at 128x128: training needs 710 MiB."
    side = config.image_size[0]
    mib = 300 + side**2 / 40
    assert told[-1] == f"unet within 1,000 MiB: {side}x{side}, {mib:,.0f} MiB, {1 - mib / 1000:.1%} below."


def test_all_seeds_share_a_search_and_another_batch_size_has_its_own(machine, tmp_path):
    made = machine(lambda side: 300 + side**2 / 40)
    place = Place(tmp_path, DEVICE)
    choose(place, same_memory_mib=1000)
    once = len(made.tried)
    choose(place, same_memory_mib=1000, seeds=3, lr="0.1,0.01")
    assert len(made.tried) == once
    choose(place, same_memory_mib=1000, batch_size=2)
    assert len(made.tried) == 2 * once


def test_one_that_does_not_fit_is_named_and_the_others_go_on(machine, tmp_path):
    machine(lambda side: 500.0 if side < 32 else 2000.0)
    told = []
    configs = choose(Place(tmp_path, DEVICE), told, arch="unet,fcn8", param=[], same_memory_mib=1000)
    assert [config.arch for config in configs] == ["unet"]
    assert "fcn8:vgg16 within 1,000 MiB is left out: its smallest size, 32x32, takes more than it may." in told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DoesNotTrain("ValueError: a bin is larger than its features"), "at 128x128, ValueError: a bin is larger"),
        (BenchError("One image doesn't train: a batch norm of one"), "at 128x128, One image doesn't train"),
    ],
)
def test_a_model_that_does_not_train_is_left_out_with_the_reason(monkeypatch, tmp_path, error, told):
    def fail(config, **_):
        raise error

    monkeypatch.setattr(batch_search, "try_training", fail)
    lines = []
    with pytest.raises(BenchError, match="No architecture has an image size within the limit"):
        choose(Place(tmp_path, DEVICE), lines, same_memory_mib=1000)
    assert told in lines[-1] and not (tmp_path / "memory").exists()


def test_a_full_device_is_too_large_a_size_but_is_not_kept(machine, tmp_path):
    made = machine(lambda side: 300 + side**2 / 40, ends_early=False, memory=800)
    told = []
    (config,) = choose(Place(tmp_path, DEVICE), told, same_memory_mib=1000)
    assert 300 + config.image_size[0] ** 2 / 40 <= 800
    assert any("out of memory on this machine, so it is taken as too large" in line for line in told)
    kept = [json.loads(path.read_bytes())["mib"] for path in (tmp_path / "memory").iterdir()]
    assert len(kept) < len(made.tried) and max(kept) <= 800


def test_a_system_that_does_not_tell_the_memory_is_one_line(monkeypatch, tmp_path):
    told = []
    unknown = Probed(100.0, None, "not recorded: no pynvml")
    monkeypatch.setattr(batch_search, "try_training", lambda config, **_: unknown)
    with pytest.raises(BenchError):
        choose(Place(tmp_path, DEVICE), told, same_memory_mib=1000)
    assert "can't be measured (not recorded: no pynvml)" in told[-1]


def test_an_interruption_keeps_what_was_measured(machine, monkeypatch, tmp_path):
    made = machine(lambda side: 300 + side**2 / 40)
    place = Place(tmp_path, DEVICE)

    def stop_at_the_third(config, **given):
        if len(made.tried) == 2:
            raise KeyboardInterrupt
        return made(config, **given)

    monkeypatch.setattr(batch_search, "try_training", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        choose(place, same_memory_mib=1000)
    first = list(made.tried)
    monkeypatch.setattr(batch_search, "try_training", made)
    choose(place, same_memory_mib=1000)
    assert len(first) == 2 and not set(first) & set(made.tried[2:])


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"mib": -1, "exact": true, "method": ""}', b'{"mib": "900"}'])
def test_a_damaged_file_is_measured_again(tmp_path, damage):
    kept_memory.keep(tmp_path, "question", {}, Needed(900.0))
    (path,) = (tmp_path / "memory").iterdir()
    path.write_bytes(damage)
    assert kept_memory.find(tmp_path, "question") is None
    kept_memory.keep(tmp_path, "question", {}, Needed(800.0))
    assert kept_memory.find(tmp_path, "question") == Needed(800.0)


def test_of_two_runs_at_once_the_first_measurement_counts(tmp_path):
    assert kept_memory.keep(tmp_path, "question", {}, Needed(900.0, exact=False)).mib == 900
    assert kept_memory.keep(tmp_path, "question", {}, Needed(1200.0)).mib == 1200
    assert kept_memory.keep(tmp_path, "question", {}, Needed(1300.0)).mib == 1200


def test_a_merged_folder_has_the_measurements_of_its_parts_and_its_own_first(tmp_path):
    for name, mib in (("a", 900.0), ("b", 950.0)):
        kept_memory.keep(tmp_path / name, "question", {}, Needed(mib))
    kept_memory.keep(tmp_path / "b", "another", {}, Needed(700.0))
    (tmp_path / "b" / "memory" / "stranger.json").symlink_to("/etc/passwd")
    merge([tmp_path / "b"], tmp_path / "a")
    assert kept_memory.find(tmp_path / "a", "question") == Needed(900.0)
    assert kept_memory.find(tmp_path / "a", "another") == Needed(700.0)
    assert len([*(tmp_path / "a" / "memory").iterdir()]) == 2


def test_a_dry_run_measures_nothing_and_says_what_is_to_come(machine, tmp_path):
    made = machine(lambda side: 300 + side**2 / 40)
    command = ["run", "--arch", "unet,deeplab", "--dataset", "shapes", "--same-memory-mib", "1000", "--dry-run"]
    shown = CliRunner().invoke(app, [*command, "--results", str(tmp_path / "r")], env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    assert "unet within 1,000 MiB: its size isn't known yet. The run measures" in shown.stderr
    assert made.tried == [] and not (tmp_path / "r").exists()


def test_a_ray_run_is_refused_before_it_joins_a_cluster(tmp_path):
    command = ["run", "--arch", "unet", "--dataset", "shapes", "--same-memory-mib", "1000", "--executor", "ray"]
    shown = CliRunner().invoke(app, [*command, "--results", str(tmp_path)], env={"COLUMNS": "300"})
    assert shown.exit_code != 0 and "--same-memory-mib measures memory on this machine" in shown.output


def test_the_key_is_that_of_the_size_by_hand(machine, tmp_path):
    machine(lambda side: 300 + side**2 / 40)
    (found,) = choose(Place(tmp_path, DEVICE), same_memory_mib=1000)
    (named,) = grid_of(image_size=found.image_size[0], eval_size="native")
    assert trial_key(found, "data") == trial_key(named, "data")


def test_a_configuration_of_python_gets_its_size_too(machine, monkeypatch, tmp_path):
    machine(lambda side: 300 + side**2 / 40)
    ran = []
    monkeypatch.setattr("bench.trials.runner.run", lambda configs, **_: ran.extend(configs))
    api.run(replace(CONFIG, same_memory_mib=1000.0, eval_size="native"), results=tmp_path)
    assert ran[0].image_size[0] > 128 and ResultsFolder(tmp_path).path.is_dir()


@pytest.fixture
def results(tmp_path):
    ways = (
        (("unet", None), 48, {"same_gflops": 5.0}),
        (("deeplab", "resnet50"), 96, {"same_memory_mib": 2000.0, "sized_memory_mib": 1900.0}),
        (("deeplab", "mobilenet_v2"), 128, {"same_memory_mib": 2000.0, "sized_memory_mib": 1500.0}),
        (("fcn8", None), 64, {}),
    )
    for net, side, limit in ways:
        for seed in range(2):
            config = fake_config(*net, seed, image_size=(side, side), eval_size="native", **limit)
            record, table = fake_record(config)
            write_trial(tmp_path, replace(record, model={**record.model, "gflops": 4.0}), table, samples=0)
    return tmp_path


def test_rows_of_operations_and_of_memory_stand_in_tables_of_their_own(results):
    operations, memory = equal_costs(groups(load_results(results)))
    assert operations.title.endswith("equal cost, 5 GFLOPs") and len(operations.rows) == 1
    assert memory.title.endswith("equal cost, 2,000 MiB")
    assert memory.headings[1:] == (
        *("image size", "memory to train (MiB)", "below the limit (%)", "memory to fit (MiB)", "rank"),
    )
    assert [(label.partition(",")[0], *(cell.text for cell in cells[1:5])) for label, cells in memory.rows] == [
        ("deeplab:resnet50", "96x96", "1,900", "5.0", "1,580"),
        ("deeplab:mobilenet_v2", "128x128", "1,500", "25.0", "870"),
    ]


def test_a_ranking_of_sizes_that_were_chosen_differently_says_so(results):
    (group,) = groups(load_results(results))
    (note,) = [note for note in group.notes if "chosen in different ways" in note]
    assert "within 2,000 MiB (2), within 5 GFLOPs (1), given (1)" in note


def test_a_finished_trial_stands_in_the_tables_of_later_limits_too(results):
    trials = {trial.folder: trial.record for trial in load([results]).trials}
    (given,) = [folder for folder, record in trials.items() if "fcn8" in folder.name and record.config["seed"] == 0]
    (counted,) = [folder for folder in trials if folder.name.startswith("unet") and trials[folder].config["seed"] == 0]
    for folder, limit in (
        (given, {"same_memory_mib": 2000.0, "sized_memory_mib": 1990.0}),
        (given, {"same_gflops": 5.0}),
        (counted, {"same_gflops": 6.0}),
        (counted, {"same_gflops": 5.0}),  # as its record says
    ):
        config = replace(TrialConfig.from_dict(trials[folder].config), **{"same_gflops": None, **limit})
        for _ in range(2):
            note_limit(folder, config, trials[folder])
    assert len(noted_limits(given)) == 2 and noted_limits(counted) == [("same_gflops", 6.0, None)]
    five, six, memory = equal_costs(groups(load_results(results)))
    assert [label.partition(",")[0] for label, _ in five.rows] == ["unet", "fcn8"]
    assert [label.partition(",")[0] for label, _ in six.rows] == ["unet"]
    assert [cells[2].text for label, cells in memory.rows if label.startswith("fcn8")] == ["1,990"]


@pytest.mark.parametrize("text", ["", "[]", '{"limits": [1, {"limit": "x", "most": 1}, {"limit": "same_gflops"}]}'])
def test_odd_notes_of_limits_are_left_out(tmp_path, text):
    (tmp_path / "size_limits.json").write_text(text)
    assert noted_limits(tmp_path) == []
