"""Tests of the search for a configuration's options: what it asks for, what it chooses, and what a table says of it."""

import math
import random
from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, write_trial

from bench.config import catalog, grid
from bench.config.searching.dimensions import Choice, Range, is_searchable
from bench.config.searching.search_space import Space
from bench.config.shard import Shard
from bench.core.errors import BenchError
from bench.core.option_kinds import WHOLE
from bench.core.specs import Budget
from bench.core.trial_config import OPTIONS
from bench.report.leaderboard import groups
from bench.results.dataframe import load_results
from bench.trials.tuning import pruning
from bench.trials.tuning.search import after_tuning, problems, searches, share_of, tune

SEARCH = "lr=1e-4..1e-2:log,weight_decay=0..0.1,augment=light|strong"
pytestmark = pytest.mark.needs("optuna")


def tuned_configs(backend, search=SEARCH, seeds=2, arch="unet,fcn8:mobilenet_v2", **given):
    values = {"arch": arch, "dataset": "shapes", "backend": backend, "search": search, "tune": 4, "seeds": seeds}
    return grid.expand({**values, "budget": "100steps", **given})


class Trainer:
    """A trainer whose validation score is best for a learning rate of 0.002; its records are kept by what ran.

    Args:
        test: the test score of a configuration, which must not matter.
        ends_after: trials after which it is interrupted.
        statuses: of the trials by their number.
    """

    def __init__(self, known=None, *, test=lambda config: 0.5, ends_after=math.inf, statuses=None):
        self.known, self.test, self.ends_after = {} if known is None else known, test, ends_after
        self.statuses, self.trained = statuses or {}, []

    def __call__(self, configs):
        return [self.known.get(repr(config)) or self.train(config) for config in configs]

    def train(self, config):
        if len(self.trained) >= self.ends_after:
            raise KeyboardInterrupt
        self.trained.append(config)
        status = self.statuses.get(len(self.trained), "ok")
        score = 0.6 - abs(math.log10(config.lr / 0.002)) / 10 - 0.1 * (config.augment == "strong")
        changes = {
            "key": repr(config),
            "wall_seconds": 90.0,
            "status": status,
            "reason": "" if status == "ok" else "Why.",
        }
        changes |= {"validation": {"mean_iou": score}, "metrics": {"mean_iou": self.test(config)}}
        record = replace(fake_record(config)[0], **changes)
        if status in ("ok", "diverged"):
            self.known[repr(config)] = record
        return record


def run(configs, trainer):
    found = searches(configs)
    tune(found, trainer)
    return after_tuning(configs, found), found


def test_tuning_trials_have_their_share_of_the_budget_and_no_test(quick_backend):
    trainer = Trainer()
    chosen, found = run(tuned_configs(quick_backend), trainer)
    assert len(trainer.trained) == 8 and len(chosen) == 4
    for config in trainer.trained:
        assert (config.measure, str(config.budget), config.tune, config.keep_weights) == (
            "validation",
            "20steps",
            None,
            "none",
        )
        assert 1e-4 <= config.lr <= 1e-2 and 0 <= config.weight_decay <= 0.1 and config.augment in ("light", "strong")
    for config in chosen:
        assert (config.measure, str(config.budget), config.tune, config.tuning_seconds) == ("all", "100steps", 4, 360.0)
    best = {
        search.configs[0].arch: max(search.outcomes, key=lambda one: one.record.validation["mean_iou"])
        for search in found
    }
    assert all((c.lr, c.augment) == (best[c.arch].config.lr, best[c.arch].config.augment) for c in chosen)
    assert [(c.arch, c.seed) for c in chosen] == [("unet", 0), ("fcn8", 0), ("unet", 1), ("fcn8", 1)]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("after", [0, 1, 5, 11, 13])
def test_an_interrupted_search_chooses_what_an_uninterrupted_one_does(sampler, after, quick_backend):
    configs = tuned_configs(quick_backend, tune=14, arch="unet", tune_sampler=sampler)
    whole = Trainer()
    expected, _ = run(configs, whole)
    known = {}
    first = Trainer(known, ends_after=after)
    with pytest.raises(KeyboardInterrupt):
        run(configs, first)
    again = Trainer(known)
    chosen, _ = run(configs, again)
    assert chosen == expected
    assert [*first.trained, *again.trained] == whole.trained


def test_the_test_split_has_no_say(quick_backend):
    """Shuffled labels of the test split give other test scores, and the same choice."""
    configs = tuned_configs(quick_backend, tune=13, arch="unet")
    rng = random.Random(0)
    plain, shuffled = Trainer(), Trainer(test=lambda config: rng.random())
    assert run(configs, plain)[0] == run(configs, shuffled)[0]
    assert plain.trained == shuffled.trained


def test_the_validation_split_decides(quick_backend):
    class Upside(Trainer):
        def train(self, config):
            record = super().train(config)
            worse = replace(record, validation={"mean_iou": 1 - record.validation["mean_iou"]})
            self.known[repr(config)] = worse
            return worse

    configs = tuned_configs(quick_backend, arch="unet")
    assert run(configs, Trainer())[0] != run(configs, Upside())[0]


def test_more_trials_go_on_from_fewer(quick_backend):
    known = {}
    run(tuned_configs(quick_backend, tune=4, arch="unet"), Trainer(known))
    more = Trainer(known)
    run(tuned_configs(quick_backend, tune=6, arch="unet"), more)
    assert len(more.trained) == 2


def test_the_first_trials_are_the_same_for_every_configuration(quick_backend):
    trainer = Trainer()
    run(tuned_configs(quick_backend), trainer)
    of_unet, of_fcn = ([c.lr for c in trainer.trained if c.arch == arch] for arch in ("unet", "fcn8"))
    assert of_unet == of_fcn


def test_another_declaration_is_another_key_and_none_is_the_old_one(quick_backend):
    from bench.trials.identity import trial_key

    plain = grid.expand({"arch": "unet", "dataset": "shapes", "backend": quick_backend})[0]
    changes = [
        {"tune": 5},
        {"tune_budget": 0.3},
        {"tune_seed": 1},
        {"tune_sampler": "random"},
        {"search": "lr=1e-3..1e-2"},
    ]
    tuned = replace(plain, tune=4, search=SEARCH)
    keys = {trial_key(config, "data") for config in (plain, tuned, *(replace(tuned, **one) for one in changes))}
    assert len(keys) == 2 + len(changes)
    assert trial_key(replace(tuned, tuning_seconds=3.0), "data") == trial_key(tuned, "data")


def test_a_trial_that_has_to_run_again_ends_the_search_for_now(quick_backend):
    configs = tuned_configs(quick_backend, arch="unet")
    known = {}
    chosen, found = run(configs, Trainer(known, statuses={3: "failed"}))
    assert not chosen
    assert "tuning trial 3 of 4" in problems(found)[0] and "failed (Why)" in problems(found)[0]
    assert run(configs, Trainer(known))[0] == run(configs, Trainer())[0]


def test_a_trial_that_diverged_counts_as_the_worst(quick_backend):
    configs = tuned_configs(quick_backend, arch="unet")
    whole = Trainer()
    best = run(configs, whole)[1][0].best.config
    number = 1 + whole.trained.index(best)
    chosen, _ = run(configs, Trainer(statuses={number: "diverged"}))
    assert chosen and chosen[0].lr != best.lr


def test_a_configuration_of_which_every_trial_diverged_is_not_trained(quick_backend):
    configs = tuned_configs(quick_backend)
    chosen, found = run(configs, Trainer(statuses=dict.fromkeys((1, 2, 3, 4), "diverged")))
    assert {config.arch for config in chosen} == {"fcn8"}
    assert "none of the 4 tuning trials is ok" in problems(found)[0]


@pytest.mark.parametrize(
    ("budget", "share", "expected"),
    [("10steps", 0.2, "2steps"), ("3steps", 0.1, "1steps"), ("90s", 0.07, "6.3s"), ("10m", 0.2, "2m"),
     ("5epochs", 0.3, "1.5epochs"), ("100ksamples", 1.0, "100ksamples"), ("10samples", 0.25, "2samples")],
)  # fmt: skip
def test_a_share_of_a_budget_is_a_budget_that_can_be_written(budget, share, expected):
    found = share_of(Budget.parse(budget), share)
    assert str(found) == expected and Budget.parse(expected) == found


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("loss=ce|dice,label_smoothing=0..0.1", "loss dice: --label-smoothing needs a loss"),
        ("crop=none|999", "crop 999"),
        ("weights=none|imagenet,freeze_encoder=0..0.5", "--freeze-encoder needs a backbone"),
        ("param.no_such=1|2", "Unknown parameter of unet 'no_such'"),
        ("param.kernel_size=big|3", "kernel_size"),
    ],
)
def test_values_that_no_model_can_be_trained_with_are_found_before_the_run(search, said, quick_backend):
    with pytest.raises(BenchError, match="--search: unet can't be trained with") as error:
        searches(tuned_configs(quick_backend, search, arch="unet"))
    assert said in str(error.value)


@pytest.mark.parametrize(
    "search", ["optimizer=adam|adamw", "optimizer=adam|adamw,weight_decay=0..0.1", "crop=none|64,crop_foreground=0..1"]
)
def test_an_option_that_another_one_needs_is_left_out_where_it_is_not_set(search, quick_backend):
    chosen, found = run(tuned_configs(quick_backend, search, arch="unet", tune=12), Trainer())
    assert chosen and not problems(found)
    assert all(catalog.resolve_config(config) == config for config in chosen)


@pytest.mark.parametrize("option", [o for o in OPTIONS.values() if is_searchable(o) and o.kind.is_number])
def test_every_option_of_numbers_takes_a_range(option):
    ends = [value for value in (0.1, 0.2, 1, 2, 8) if option.accepts is None or option.accepts(value)]
    fitting = [value for value in ends if option.kind is not WHOLE or value == int(value)]
    space = Space.parse(f"{option.name}={fitting[0]:g}..{fitting[-1]:g}")
    assert space == Space.parse(space.text)
    assert isinstance(space.dimensions[option.field], Range)


@pytest.mark.parametrize(
    ("search", "values"),
    [
        ("schedule=steps@0.5,0.8|linear", {"schedule": ("steps@0.5,0.8", "linear")}),
        ("lr=0.1..1,schedule=linear|steps@.3,.6,0.9", {"schedule": ("linear", "steps@0.3,0.6,0.9")}),
        ("augment=flip,rotate8|strong , lr=0.1..1", {"augment": ("flip+rotate8", "strong")}),
        (
            "class_weights=[0.3,0.7]|none,loss = ce|dice,",
            {"class_weights": ("[0.3,0.7]", "none"), "loss": ("ce", "dice")},
        ),
        ({"schedule": ["steps@0.5,0.8", "linear"], "clip-norm": ["none", 1]}, {"clip_norm": (None, 1.0)}),
    ],
)
def test_a_comma_within_a_value_does_not_part_options(search, values):
    space = Space.parse(OPTIONS["search"].read(search))
    assert values.items() <= {field: getattr(found, "values", ()) for field, found in space.dimensions.items()}.items()
    assert space == Space.parse(space.text)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("clip_norm=none..1", "clip_norm=none..1, which is no range"),
        ("ema=0.9..none", "ema=0.9..none, which is no range"),
        ("lr=1e-4,1e-3", "lr=1e-4,1e-3, a single value"),
        ("lr=1e-4..1e-2,augment", "'1e-2,augment'"),
        (" , ", "--search is empty"),
    ],
)
def test_what_is_no_range_is_one_line(search, said):
    with pytest.raises(BenchError, match=said):
        Space.parse(search)


def test_optuna_missing_is_one_line(monkeypatch, quick_backend):
    monkeypatch.setattr("bench.trials.tuning.sampler.installed", lambda package: False)
    with pytest.raises(BenchError, match=r"pip install 'segbench\[tune\]'"):
        searches(tuned_configs(quick_backend))


def test_rows_of_other_declarations_are_not_ranked_together_and_say_what_tuning_cost(tmp_path):
    common = {"search": "lr=0.0001..0.01:log", "tuning_seconds": 6840.0}
    for tune_, lr in ((None, 1e-3), (4, 2e-3), (12, 3e-3)):
        for seed in (0, 1):
            config = fake_config(seed=seed, lr=lr, tune=tune_, **(common if tune_ else {}))
            write_trial(tmp_path, replace(fake_record(config)[0], key=f"{lr}-{seed}", wall_seconds=360.0), samples=0)
    trial = fake_config(measure="validation")
    write_trial(tmp_path, replace(fake_record(trial)[0], key="tuning", metrics={}), samples=0)
    found = {group.title: group for group in groups(load_results(tmp_path))}
    assert len(found) == 3 and all(len(group.rows) == 1 for group in found.values())
    (title,) = (title for title in found if "tuned by 12 trials of 20 %" in title)
    cells = found[title].rows[0].cells
    assert cells["tuned"].text == "12 trials, 1.9 h" and cells["total_cost"].text == "2.1 h"
    assert [*found[title].columns][-1] != "total_cost" and "total_cost" in found[title].brief
    assert cells["lr"].text == "0.003", "what was chosen is a column, even if all rows chose the same"
    plain = next(group for title, group in found.items() if "tuned" not in title)
    assert "tuned" not in plain.columns and "search space" not in plain.fields


@pytest.mark.parametrize(
    ("files", "given", "said"),
    [
        ({"lr": 0.1}, {}, None),
        ({"lr": 0.1, "search": {"lr": "1e-3..1e-2"}}, {}, "--lr is given (0.1), and --search looks for it"),
        ({"search": {"lr": "1e-3..1e-2"}}, {"lr": "0.1"}, "--lr is given (0.1), and --search looks for it"),
        ({"lr": 0.1, "weight_decay": 0.1}, {"search": "lr=1e-3..1e-2"}, None),
        ({"search": {"augment": ["light", "strong"], "batch_size": [8, 16], "lr": "1e-3..1e-2:log"}}, {}, None),
    ],
)
def test_a_file_and_the_command_line_never_disagree_unheard(files, given, said, quick_backend):
    from bench.config.given import GridFile

    common = {"arch": "unet", "dataset": "shapes", "backend": quick_backend}
    tuning = {"tune": 12} if "search" in {**files, **given} else {}
    file = GridFile({**common, **tuning, **files}, [])
    if said:
        with pytest.raises(BenchError) as error:
            grid.configs(given, file)
        assert said in str(error.value)
        return
    (config,) = grid.configs(given, file)
    if "search" in given:
        assert (config.search, config.lr, config.weight_decay) == ("lr=0.001..0.01", 1e-3, 0.1)
    if "search" in files:
        assert config.search == "augment=light|strong,batch_size=8|16,lr=0.001..0.01:log"


@pytest.mark.parametrize(
    ("changes", "noted"),
    [([{}, {"lr": 0.01}], "differ in lr"), ([{"lr": 0.01, "augment": "none"}, {"batch_size": 8}], "differ in"),
     ([{}, {"arch": "fcn8"}], ""), ([{}, {"arch": "fcn8", "lr": 0.01}], ""),
     ([{}, {"precision": "mixed_bfloat16"}], "")],
)  # fmt: skip
def test_a_table_says_that_the_best_cell_of_a_grid_was_picked_on_the_test_split(changes, noted, tmp_path):
    for number, some in enumerate(changes):
        write_trial(tmp_path, replace(fake_record(fake_config(**some))[0], key=f"k{number}"), samples=0)
    (group,) = groups(load_results(tmp_path))
    notes = [note for note in group.notes if "picked on the test split" in note]
    assert bool(notes) == bool(noted) and all(noted in note for note in notes)


@pytest.mark.parametrize("declared", [True, False])
def test_what_tuning_chose_on_each_data_set_is_one_line_across_them(declared, tmp_path):
    from bench.report.findings.across import all_across

    for number, dataset in enumerate(("pets", "carvana", "airbus")):
        for arch in ("unet", "fcn8", "deeplab"):
            tuning = {"tune": 4, "search": "lr=0.0001..0.01:log", "tuning_seconds": 9.0} if declared else {}
            config = fake_config(arch, dataset=dataset, lr=0.001 * (1 + number), **tuning)
            data = {**fake_record(config)[0].dataset, "fingerprint": dataset}
            record = replace(fake_record(config)[0], key=f"{arch}{dataset}", dataset=data)
            write_trial(tmp_path, record, samples=0)
    found = all_across(groups(load_results(tmp_path)))
    assert bool(found) == declared
    if declared:
        assert {place.label for place in found[0].places} == {"unet", "fcn8", "deeplab"}


def run_for_real(folder, results, backend):
    """Tune a tiny model on a folder's images in processes of their own; return the search and its trials' folders."""
    from bench.trials import runner

    (config,) = grid.expand(
        {"arch": "unet", "dataset": f"folder:{folder}", "param": ["filters=[4,8]"], "image_size": 32, "batch_size": 2,
         "backend": backend, "budget": "5steps", "tune": 2, "tune_budget": "60%", "search": "lr=1e-3..1e-1:log"}
    )  # fmt: skip
    (search,) = searches([config])
    tune([search], lambda configs: runner.run_each(configs, results=results))
    return search


@pytest.mark.slow
def test_shuffled_labels_of_the_test_split_change_nothing_of_what_is_chosen(tmp_path, quick_backend):
    """Real trials: with labels of class 0 to 1 and 1 to 0 in the test split, values, scores and choice are the same."""
    import numpy as np
    from fakes import write_fake_folder
    from PIL import Image

    found = []
    for name in ("plain", "shuffled"):
        folder = write_fake_folder(tmp_path / name, count=16)
        images = sorted(path.stem for path in (folder / "images").iterdir())
        for split, some in {"train": images[:8], "val": images[8:12], "test": images[12:]}.items():
            (folder / f"{split}.txt").write_text("\n".join(some) + "\n", encoding="utf-8")
        for image in images[12:] if name == "shuffled" else ():
            (path,) = (folder / "masks").glob(f"{image}.*")
            labels = np.asarray(Image.open(path))
            Image.fromarray(np.random.default_rng(0).permuted(labels, axis=1)).save(path)
        found.append(run_for_real(folder, tmp_path / f"{name}-results", quick_backend))
    plain, shuffled = found
    fingerprints = {one.record.dataset["fingerprint"] for search in found for one in search.outcomes}
    assert len(fingerprints) == 2, "the labels have changed"
    assert [one.values for one in plain.outcomes] == [one.values for one in shuffled.outcomes]
    assert [one.record.validation for one in plain.outcomes] == [one.record.validation for one in shuffled.outcomes]
    assert plain.best.values == shuffled.best.values
    for record in (one.record for search in found for one in search.outcomes):
        assert (record.status, record.metrics, record.speed) == ("ok", {}, {}), record.reason
        assert "test" not in record.dataset["images"]


def test_a_tuning_trial_never_gets_test_scores_whatever_its_process_says():
    from bench.results.trial_output import of_its_kind

    outcome = {"status": "ok", "metrics": {"mean_iou": 0.5}, "speed": {}, "validation": {"mean_iou": 0.4}}
    assert of_its_kind(outcome, "validation") == {"status": "ok", "validation": {"mean_iou": 0.4}}
    assert of_its_kind(outcome, "all") == outcome
    assert of_its_kind({"status": "ok", "validation": {"mean_iou": 0.4}}, "all")["status"] == "failed"


@pytest.mark.parametrize(
    ("search", "dimension"),
    [
        ("param.depth=2..4", Range(2, 4, whole=True, of_parameter=True)),
        ("param.dropout=0..0.5", Range(0.0, 0.5, of_parameter=True)),
        ("param.width=1e2..1e4:log", Range(100.0, 10000.0, log=True, of_parameter=True)),
        ("param.filters=[8,16]|[16,32]", Choice(([8, 16], [16, 32]))),
        ("--param.upsampling=nearest|bilinear", Choice(("nearest", "bilinear"))),
        ("param.batch_norm=true|false", Choice((True, False))),
    ],
)
def test_a_builders_parameter_is_searched_as_it_is_given(search, dimension):
    space = Space.parse(f"lr=0.001|0.01,{search}")
    (field,) = space.dimensions.keys() - {"lr"}
    assert space.dimensions[field] == dimension and Space.parse(space.text) == space
    value = dimension.ends[0]
    applied = space.apply(fake_config(params={"filters": [1], "other": 1}), {"lr": 0.01, field: value})
    assert applied.lr == 0.01 and applied.params == {"filters": [1], "other": 1, field.removeprefix("param."): value}


def test_the_shards_of_a_tuned_grid_each_tune_whole_configurations(quick_backend):
    configs = tuned_configs(quick_backend, arch="unet,segnet,fcn8:mobilenet_v2", seeds=3)
    parts = [Shard(number, 2).of(configs) for number in (1, 2)]
    assert [len({config.common for config in part}) for part in parts] == [2, 1]
    assert sorted(map(repr, parts[0] + parts[1])) == sorted(map(repr, configs))
    whole = searches(configs)
    tune(whole, Trainer())
    chosen = []
    for part in parts:
        some = searches(part)
        tune(some, Trainer())
        chosen += after_tuning(part, some)
    assert {repr(config) for config in chosen} == {repr(config) for config in after_tuning(configs, whole)}


class PruningTrainer(Trainer):
    """A trainer whose scores rise linearly over ten validations, and which ends hopeless trials."""

    def train(self, config):
        record = super().train(config)
        final, curve = record.validation["mean_iou"], []
        for number in range(1, 11):
            curve.append(final * number / 10)
            if pruned := pruning.is_hopeless(curve, config.prune_below):
                break
        training = {**record.training, "curve": curve, **({"pruned": True} if pruned else {})}
        self.known[repr(config)] = replace(record, validation={"mean_iou": curve[-1]}, training=training)
        return self.known[repr(config)]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("after", [None, 3, 6, 11])
def test_trials_below_the_median_end_early_and_an_interruption_changes_nothing(sampler, after, quick_backend):
    def search(trainer):
        found = searches(tuned_configs(quick_backend, arch="unet", tune=16, tune_sampler=sampler, tune_prune=True))
        tune(found, trainer)
        return found[0]

    whole = PruningTrainer()
    expected = search(whole)
    early = [outcome for outcome in expected.outcomes if not outcome.whole]
    assert early and all(2 <= len(outcome.curve) < 10 for outcome in early)
    assert all(outcome.whole for outcome in expected.outcomes[: pruning.AFTER])
    assert expected.best.whole and expected.best.score >= max(outcome.score for outcome in expected.outcomes)
    if after:
        trainer = PruningTrainer(ends_after=after)
        with pytest.raises(KeyboardInterrupt):
            search(trainer)
        again = search(PruningTrainer(trainer.known))
        assert list(map(repr, again.chosen())) == list(map(repr, expected.chosen()))
        assert [repr(one.config) for one in again.outcomes] == [repr(one.config) for one in expected.outcomes]


@pytest.mark.parametrize(
    ("curve", "hopeless"),
    [([0.1], False), ([0.1, 0.1], True), ([0.3, 0.1], False), ([0.1, 0.25], False), ([0.1, 0.1, 0.1], False)],
)
def test_the_best_score_so_far_is_compared_with_the_median_from_the_second_validation_on(curve, hopeless):
    assert pruning.thresholds([[0.1, 0.2]] * 4) == ""
    medians = pruning.thresholds([[0.3, 0.1, 0.4], [0.1, 0.2, 0.3], *[[0.1, 0.25, 0.2]] * 3])
    assert medians == "0.1000,0.2500,0.2500"
    assert pruning.is_hopeless(curve, medians) is hopeless
    assert not pruning.is_hopeless(curve, "")
