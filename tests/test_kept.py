"""The trials whose weights are kept in a results folder, with fake trials."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, write_trial
from running import run

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.results import weight_retention
from bench.results.find import find_run
from bench.results.loading import load
from bench.results.store import ResultsFolder
from bench.results.trial_files import KEEP, OUTCOME, WEIGHTS
from bench.results.weight_retention import Pruning, prune
from bench.trials.identity import trial_key
from bench.trials.progress import Observer
from bench.trials.saved.stored_trials import find_trained, start_from

SHAPES = TrialConfig("unet", "shapes", image_size=(16, 16), params={"filters": [4, 8]}, budget=Budget(10, "steps"))


class Saves:
    """An executor whose trials end at once, with the validation of their seed and, unless not wanted, weights."""

    validation = (0.5, 0.7, 0.3)

    def __init__(self):
        self.started = 0

    def start(self, folder, backend):
        self.started += 1
        config = json.loads((folder / "trial.json").read_text())["config"]
        if config["keep_weights"] != "none":
            (folder / WEIGHTS).write_text(f"weights of seed {config['seed']}")
        if config["keep_weights"] == "all":
            (folder / KEEP).touch()
        score = {"mean_iou": self.validation[config["seed"]]}
        # The test says the opposite of the validation: it must not choose.
        outcome = {"status": "ok", "validation": score, "metrics": {"mean_iou": 1 - score["mean_iou"]}}
        (folder / OUTCOME).write_text(json.dumps({**outcome, "weights": {"file": WEIGHTS}}))
        return self

    def wait(self, seconds):
        return True

    def seconds(self):
        return 1.0


class Told(Observer):
    def __init__(self):
        self.missing = []

    def without_weights(self, trial):
        self.missing.append(trial.config.seed)


def trials(results, seeds, observer=None, force=False, **fields):
    run([replace(SHAPES, seed=seed, **fields) for seed in seeds], results=results, executor=Saves(),
        observer=observer, force=force)  # fmt: skip


def kept(results):
    """The seeds of the trials that have weights."""
    return sorted(t.record.config["seed"] for t in load([results]).trials if t.weights)


def test_only_the_best_on_validation_keeps_its_weights(tmp_path):
    trials(tmp_path / "r", [0, 1, 2])
    assert kept(tmp_path / "r") == [1]
    (trial,) = (t for t in load([tmp_path / "r"]).trials if t.weights)
    assert trial.weights.read_text() == "weights of seed 1"


@pytest.mark.parametrize(
    "other",
    [
        {"budget": Budget(20, "steps")},
        {"image_size": (32, 32)},
        {"arch": "deeplab", "params": {}, "backbone": "mobilenet_v2", "image_size": (32, 32)},
    ],
)
def test_trials_that_are_not_compared_are_no_rivals(tmp_path, other):
    trials(tmp_path / "r", [1])
    trials(tmp_path / "r", [0], **other)
    assert kept(tmp_path / "r") == [0, 1]


def test_other_parameters_of_the_pair_are_rivals(tmp_path):
    trials(tmp_path / "r", [1])
    trials(tmp_path / "r", [0], lr=0.1)
    assert kept(tmp_path / "r") == [1]


def test_another_version_of_a_plugins_code_is_no_rival(tmp_path):
    scores = {("a", 0): 0.7, ("a", 1): 0.9, ("b", 0): 0.2, ("b", 1): 0.1, (None, 0): 0.3, (None, 1): 0.4}
    for (code, seed), score in scores.items():
        record, table = fake_record(fake_config("my_net", seed=seed), validation={"mean_iou": score})
        weights = {"file": WEIGHTS, **({"source": code} if code else {})}
        folder = write_trial(tmp_path, replace(record, key=f"{code}{seed}", weights=weights), table, samples=0)
        (folder / WEIGHTS).touch()
    prune(ResultsFolder(tmp_path))
    assert {t.record.key for t in load([tmp_path]).trials if t.weights} == {"a1", "b0", "None1"}


def test_what_all_has_kept_stays(tmp_path):
    trials(tmp_path / "r", [0, 2], keep_weights="all")
    trials(tmp_path / "r", [1])
    assert kept(tmp_path / "r") == [0, 1, 2]


def test_all_said_later_keeps_what_is_there_and_tells_what_is_not(tmp_path):
    trials(tmp_path / "r", [2])
    trials(tmp_path / "r", [0], keep_weights="none")
    told = Told()
    trials(tmp_path / "r", [0, 2], observer=told, keep_weights="all")
    assert (told.missing, kept(tmp_path / "r")) == ([0], [2])
    trials(tmp_path / "r", [1])
    assert kept(tmp_path / "r") == [1, 2]
    trials(tmp_path / "r", [0], force=True, keep_weights="all")
    assert kept(tmp_path / "r") == [0, 1, 2]


def test_none_saves_nothing_and_takes_nothing_away(tmp_path):
    trials(tmp_path / "r", [0])
    trials(tmp_path / "r", [1], keep_weights="none")
    assert kept(tmp_path / "r") == [0]


def test_runners_on_one_folder_leave_the_best(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda seed: trials(tmp_path / "r", [seed]), [2, 0, 1]))
    assert kept(tmp_path / "r") == [1]
    assert len(load([tmp_path / "r"]).trials) == 3


def test_the_choice_is_not_in_the_key():
    keys = {
        trial_key(catalog.resolve_config(replace(SHAPES, keep_weights=kept)), "data")
        for kept in ("all", "best", "none")
    }
    assert len(keys) == 1
    with pytest.raises(BenchError, match="Unknown value of --keep-weights 'bset'"):
        catalog.resolve_config(replace(SHAPES, keep_weights="bset"))


@pytest.fixture
def trained(tmp_path):
    """A results folder with a run of seed 1 that has weights."""
    trials(tmp_path / "r", [1])
    return tmp_path / "r"


def test_a_run_that_others_start_from_keeps_its_weights(trained, monkeypatch):
    (source,) = load([trained]).trials
    monkeypatch.setattr(Saves, "validation", (0.9, 0.7, 0.8))
    trials(trained, [0, 2], init_from=source.folder.name)
    assert kept(trained) == [0, 1]
    found = [t.record.config["init_from"] for t in load([trained]).trials]
    assert found.count(str(source.folder.resolve())) == 2


def test_the_key_has_the_content_of_the_weights_and_not_their_place(tmp_path, trained):
    (source,) = load([trained]).trials
    elsewhere = tmp_path / "copy"
    source.folder.rename(elsewhere)
    config = start_from(replace(SHAPES, init_from=str(elsewhere)), trained)
    first = trial_key(config, "data")
    elsewhere.rename(tmp_path / "moved")
    moved = start_from(replace(SHAPES, init_from=str(tmp_path / "moved")), trained)
    assert trial_key(moved, "data") == first != trial_key(SHAPES, "data")
    (tmp_path / "moved" / WEIGHTS).write_text("other weights")
    assert trial_key(moved, "data") != first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_from": "zzz"}, "There is no run 'zzz'. `bench list runs` shows all 1."),
        ({"init_from": "some/where"}, "'some/where' isn't the folder of a trial"),
        ({"arch": "segnet"}, "has the architecture unet, but this trial has segnet. Weights only fit the same"),
        (
            {"params": {"filters": [8, 8]}},
            "has the parameters {'filters': [4, 8]}, but this trial has {'filters': [8, 8]}",
        ),
        ({"backbone": "vgg16"}, "has the backbone none, but this trial has vgg16"),
        ({"weights": "imagenet"}, "--init-from and --weights both give the backbone its initial weights."),
    ],
)
def test_weights_that_can_not_be_started_from_are_one_line(trained, changes, message):
    (source,) = load([trained]).trials
    with pytest.raises(BenchError) as error:
        start_from(replace(SHAPES, **{"init_from": source.folder.name, **changes}), trained)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_bad_start_is_said_before_anything_is_written(tmp_path, trained):
    with pytest.raises(BenchError, match="There is no run 'zzz'"):
        trials(trained, [0], init_from="zzz")
    with pytest.raises(BenchError, match="There is no results folder"):
        trials(tmp_path / "new", [0], init_from="zzz")
    assert not (tmp_path / "new").exists()


def test_a_run_is_found_by_its_id_how_it_begins_or_its_path(trained):
    (source,) = load([trained]).trials
    name = source.folder.name
    for text in (name, name[:9], name.split("_", 3)[-1], str(source.folder)):
        assert find_run(text, trained).folder == source.folder.resolve()
    with pytest.raises(BenchError, match=f"Did you mean '{name}'"):
        find_run(name.replace("unet", "unett"), trained)
    with pytest.raises(BenchError, match="is a results folder"):
        find_run(str(trained), trained)
    ResultsFolder(trained).running_folder("later_shapes_s0_key_dev").mkdir()
    claim = ResultsFolder(trained).claim("later_shapes_s0_key_dev")
    with claim.acquire(), pytest.raises(BenchError, match="hasn't ended yet"):
        find_run("later", trained)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "diverged"}, "it has the status diverged"),
        ({"config": fake_config(keep_weights="none").to_dict()}, "it ran with --keep-weights none"),
        ({"weights": {"problem": "not saved: disk full"}}, "not saved: disk full"),
        ({"weights": {"file": WEIGHTS}}, "a trial of its pair with a better validation score replaced them"),
    ],
)
def test_missing_weights_are_explained(tmp_path, changes, why):
    record, _ = fake_record(fake_config())
    folder = write_trial(tmp_path / "r", replace(record, **changes))
    with pytest.raises(BenchError) as error:
        find_trained(folder.name, tmp_path / "r")
    assert f"has no saved weights: {why}" in str(error.value) and "\n" not in str(error.value)


def test_weights_of_a_trial_that_failed_afterwards_are_no_start(tmp_path):
    record, _ = fake_record(fake_config())
    folder = write_trial(tmp_path / "r", replace(record, status="out_of_memory", dataset={}))
    (folder / WEIGHTS).touch()
    with pytest.raises(BenchError, match="it has the status out_of_memory"):
        find_trained(folder.name, tmp_path / "r")


def weighted(results, name, score):
    record, table = fake_record(fake_config(seed=int(name)))
    record = replace(record, key=f"k{name}", validation={"mean_iou": score})
    folder = write_trial(results, record, table, samples=0)
    (folder / WEIGHTS).write_text("weights")
    return folder


def test_choices_of_weights_that_take_long_are_put_off_but_not_forgotten(tmp_path, monkeypatch):
    clock, choices = [0.0], []

    def slow(results):
        choices.append(clock[0])
        clock[0] += 10.0

    monkeypatch.setattr(weight_retention, "prune", slow)
    monkeypatch.setattr(weight_retention.time, "monotonic", lambda: clock[0])
    pruning = Pruning(ResultsFolder(tmp_path))
    for name in range(30):
        folder = weighted(tmp_path, name, name / 40)
        pruning.after(folder.name)
        clock[0] += 20.0
    assert choices == [0.0, 210.0, 420.0]  # 10 s each are a twentieth of the time between
    assert pruning.due
    pruning.choose()
    assert not pruning.due
    pruning.after("without-weights")
    assert not pruning.due


def test_the_last_choice_of_a_run_comes_at_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(weight_retention, "_SHARE", 1e-9)  # the first choice is the last one until then
    trials(tmp_path, range(3))
    kept = [path.parent.name for path in (tmp_path / "trials").glob(f"*/{WEIGHTS}")]
    assert len(kept) == 1 and "_s1_" in kept[0]
