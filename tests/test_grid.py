"""The grid: options and TOML files to configurations."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.config import catalog, grid
from bench.config.given import PARAMETERS, axis, read_toml
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.trials.identity import trial_key


@pytest.fixture(autouse=True)
def any_backend(monkeypatch):
    """The grid plans for backends that this machine need not have."""
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)


def expand(**options):
    return grid.expand({"arch": "unet", "dataset": "shapes", **options})


def test_without_options_the_defaults_of_the_protocol_hold():
    (config,) = expand()
    assert (config.image_size, config.batch_size, config.budget, config.seed) == (
        (128, 128),
        16,
        Budget(600, "seconds"),
        0,
    )


def test_a_path_with_a_comma_stands_in_a_list():
    assert axis("dataset", ["folder:a,b", "pets"]) == ["folder:a,b", "pets"]


def test_commas_are_axes_and_every_pair_gets_its_first_seed_first():
    configs = expand(arch="unet, deeplab", dataset="shapes,pets", seeds=2)
    assert [(c.seed, c.dataset, c.arch) for c in configs] == [
        (seed, dataset, arch) for seed in (0, 1) for dataset in ("shapes", "pets") for arch in ("unet", "deeplab")
    ]


def test_a_pair_keeps_its_own_backbone_beside_the_axis():
    configs = expand(arch="unet:resnet50,unet", backbone="none,mobilenet_v2")
    assert [config.pair for config in configs] == ["unet:resnet50", "unet", "unet:mobilenet_v2"]


def test_values_are_read_as_what_they_are():
    config = expand(
        **{"image-size": "96x128", "batch_size": "8", "lr": "3e-4", "budget": "2h", "train-fraction": "0.5"},
        **{"timeout": "90", "skip-corrupt": True, "seed": "7"},
    )[0]
    assert (config.image_size, config.batch_size, config.lr, config.train_fraction) == ((96, 128), 8, 3e-4, 0.5)
    assert (config.budget.amount, config.timeout, config.skip_corrupt, config.seed) == (7200, 90.0, True, 7)
    assert expand(timeout="2h")[0].timeout == 7200
    assert expand(timeout=1.5)[0].timeout == 1.5


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (["dropout=0.1,0.2"], [{"dropout": 0.1}, {"dropout": 0.2}]),
        (["filters=[8,16,32,64,128]"], [{"filters": [8, 16, 32, 64, 128]}]),
        (["filters=[8,16],[16,32]"], [{"filters": [8, 16]}, {"filters": [16, 32]}]),
        (["upsampling=bilinear"], [{"upsampling": "bilinear"}]),
        (["upsampling='bilinear'", "batch_norm=false"], [{"upsampling": "bilinear", "batch_norm": False}]),
        (
            {"filters": [[8, 16], [16, 32]], "dropout": 0.1},
            [{"filters": f, "dropout": 0.1} for f in ([8, 16], [16, 32])],
        ),
    ],
)
def test_parameters_are_toml_values_and_words(params, expected):
    assert [config.params for config in expand(param=params, image_size="64")] == expected


def test_policies_are_an_axis_and_stretch_keeps_old_keys():
    stretched, boxed = expand(resize="stretch,letterbox")
    assert stretched == expand()[0]
    assert trial_key(stretched, "data") == trial_key(expand()[0], "data") != trial_key(boxed, "data")


def test_compilation_and_initial_weights_are_axes_and_their_defaults_keep_old_keys():
    (plain,) = expand()
    configs = expand(jit="auto,on,off", **{"initial-weights": "own,shared"})
    assert [(c.jit, c.initial_weights) for c in configs] == [
        (jit, weights) for jit in ("auto", "on", "off") for weights in ("own", "shared")
    ]
    assert configs[0] == plain
    assert len({trial_key(config, "data") for config in configs}) == 6
    old = {name: value for name, value in plain.to_dict().items() if name not in ("jit", "initial_weights")}
    assert TrialConfig.from_dict(old) == plain


def test_a_crop_of_the_whole_image_is_none_and_only_crops_have_a_chance_of_the_foreground():
    configs = expand(image_size="64", crop="none,32,48x64,64", crop_foreground="0.8")
    assert [(c.crop, c.crop_foreground, c.input_size) for c in configs] == [
        (None, 0.5, (64, 64)),
        ((32, 32), 0.8, (32, 32)),
        ((48, 64), 0.8, (48, 64)),
    ]
    assert expand(image_size=64, crop=32)[0] == replace(configs[1], crop_foreground=0.5)
    assert all(TrialConfig.from_dict(config.to_dict()) == config for config in configs)


def test_equal_trials_are_planned_once():
    assert len(expand(arch="unet,u_net,unet", seed="0,0,1")) == 2
    assert len(expand(param=["dropout=0.0"], arch="unet")) == len(expand())


def test_repeats_are_trials_of_their_own_and_come_last():
    assert [(c.repeat, c.seed) for c in expand(repeat=2, seeds="2")] == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": "1", "seeds": 2}, "Give --seeds N (the seeds 0 to N-1) or --seed 0,1 (these seeds), not both"),
        ({"seeds": 0}, "--seeds is 0. Accepted: how many seeds, 1 or more"),
        ({"seed": "one"}, "--seed is 'one'. Accepted: whole numbers from 0 to 2147483647, such as 0,1,2"),
        ({"seed": "1.5"}, "--seed is '1.5'"),
        ({"seed": "inf"}, "--seed is 'inf'"),
        ({"image_size": "big"}, "--image-size is 'big'. Accepted: pixels, such as 128, or height x width"),
        ({"image_size": "0"}, "--image-size is '0'"),
        ({"crop": "32x"}, "--crop is '32x'. Accepted: none, pixels, such as 256, or height x width"),
        (
            {"crop": "256"},
            "--crop is 256x256, but the images are 128x128 (--image-size). Accepted: crops up to that size",
        ),
        ({"crop": "128", "crop_foreground": "2"}, "--crop-foreground is 2. Accepted: a probability from 0 to 1"),
        ({"crop_foreground": "0.2"}, "--crop-foreground needs --crop. Accepted there: none, pixels, such as 256"),
        ({"crop": "40"}, "unet can't take images of 40x40 pixels"),
        ({"jit": "yes"}, "Unknown value of --jit 'yes'. Available: auto, on, off"),
        (
            {"initial_weights": "same"},
            "Unknown value of --initial-weights 'same'. Did you mean 'shared'? Available: own, shared",
        ),
        ({"lr": "fast"}, "--lr is 'fast'. Accepted: a number"),
        ({"budget": "10parsecs"}, "Unknown budget '10parsecs'. Accepted: a number and a unit"),
        (
            {"batch_size": "2,x"},
            "--batch-size is 'x'. Accepted: a whole number from 1 to 65536, or several with commas",
        ),
        ({"timeout": "3epochs"}, "--timeout is '3epochs'. Accepted: a time above 0"),
        (
            {"timeout": "0"},
            "--timeout is '0'. Accepted: a time above 0, such as 90s, 10m or 2h, or seconds.",
        ),
        ({"timeout": "1e99"}, "--timeout is 1e+99. Accepted: a time above 0"),
        (
            {"timeout": "abc"},
            "--timeout is 'abc'. Accepted: a time above 0, such as 90s, 10m or 2h, or seconds.",
        ),
        ({"image_size": "32x"}, "--image-size is '32x'"),
        ({"param": ["dropout"]}, "--param is 'dropout'. Accepted: key=value"),
        ({"arch": "unet,deeplab", "param": ["batch_norm=false"]}, "Unknown parameter of deeplab 'batch_norm'"),
        ({"dataset": None}, "No data set is named. Give --dataset; available: pets"),
        ({"arch": ","}, "'arch' has no value"),
        ({"bach_size": 3}, "Unknown option 'bach_size'. Did you mean 'batch_size'"),
    ],
)
def test_what_can_not_be_read_is_said_in_one_line(options, message):
    with pytest.raises(BenchError, match=re.escape(message)):
        expand(**options)


def plan(tmp_path, text, **options):
    file = tmp_path / "grid.toml"
    file.write_text(text)
    return grid.configs(options, read_toml(file))


def test_a_toml_file_has_the_names_of_the_options_and_the_options_win(tmp_path):
    text = 'arch = ["unet", "deeplab"]\ndataset = "shapes"\nimage-size = 64\nseeds = 2\n[param]\ndropout = [0.1, 0.2]\n'
    assert len(plan(tmp_path, text)) == 8
    configs = plan(tmp_path, text, arch="unet", seed="5", image_size="32", param=["dropout=0.3"])
    assert [(c.arch, c.seed, c.image_size, c.params) for c in configs] == [("unet", 5, (32, 32), {"dropout": 0.3})]


def test_tables_of_trials_stand_beside_a_grid_or_alone(tmp_path):
    shared = 'dataset = "shapes"\nbudget = "60s"\n'
    trials = '[[trials]]\narch = "unet:resnet50"\nbatch-size = 8\n[[trials]]\narch = "deeplab"\nbudget = "5m"\n'
    alone = plan(tmp_path, shared + trials)
    assert [(c.pair, c.batch_size, str(c.budget)) for c in alone] == [
        ("unet:resnet50", 8, "1m"),
        ("deeplab:mobilenet_v2", 16, "5m"),
    ]
    assert [c.pair for c in plan(tmp_path, 'arch = "unet"\n' + shared + trials)] == ["unet", *(c.pair for c in alone)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('arch = "unet"\ndataset = = "x"\n', "is no valid TOML: Invalid value (at line 2, column 11)"),
        (
            'arch = "unet"\ndatset = "x"\n',
            "'datset'. Did you mean 'dataset' or 'dataset_param'? Available: arch, augment",
        ),
        ('trials = "unet"\n', "must be tables, each under a line [[trials]]"),
        ('[[trials]]\nbudgte = "1m"\n', "'budgte'. Did you mean 'budget'?"),
        *(
            (f'arch = "unet"\ndataset = "shapes"\n{line}\n', message)
            for line, message in (
                ("param = 5", "--param is '5'. Accepted: key=value"),
                ("param = true", "--param is 'True'. Accepted: key=value"),
                ("param.dropout = 2020-01-01", "The parameter 'dropout' is [datetime.date(2020, 1, 1)]. Accepted"),
                ("param.filters = [[1, {a = 1}]]", "The parameter 'filters' is [[1, {'a': 1}]]. Accepted"),
                ("param.filters = []", "The parameter 'filters' is []. Accepted"),
                ("timeout = [1]", "--timeout is '[1]'. Accepted: a time"),
                ("timeout = 2020-01-01", "--timeout is '2020-01-01'. Accepted: a time"),
                ("timeout = true", "--timeout is 'True'. Accepted: a time"),
                ("timeout = inf", "--timeout is 'inf'. Accepted: a time"),
                ('skip-corrupt = "no"', "--skip-corrupt is 'no'. Accepted: true or false, without quotes"),
                ("lr = true", "--lr is 'True'. Accepted: a number"),
                ("image-size = true", "--image-size is 'True'. Accepted: pixels"),
                ("budget = 2020-01-01", "Unknown budget '2020-01-01'"),
                ("data-dir = 3", "--data-dir is '3'. Accepted: a folder's path"),
                ("results = 5", "--results is '5'. Accepted: a folder's path"),
                ("plugin = 5", "--plugin is '5'. Accepted: the path of a Python file"),
                ("weights = 5", "--weights is '5'. Accepted: none, imagenet"),
                ('[[trials]]\nresults = "there"', "is for the whole run. Put it above the first [[trials]]"),
            )
        ),
        ('arch = "unet"\ndataset = "shapes"\n[param]\nfilters = [8, 16]\n', "in a TOML file filters = [[4, 8]]"),
    ],
)
def test_a_toml_file_that_can_not_be_used_is_said_in_one_line(tmp_path, text, message):
    with pytest.raises(BenchError, match=re.escape(message)):
        plan(tmp_path, text)


def test_a_toml_file_that_is_not_there(tmp_path):
    with pytest.raises(BenchError, match="can't be read"):
        read_toml(tmp_path / "none.toml")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.sampled_from([*(o.name for o in grid.AXES), "seed", "seeds", "repeat", "timeout"]))
def test_any_text_is_a_grid_or_an_error_of_one_kind(text, name):
    try:
        configs = expand(**{name: [text] if name in PARAMETERS else text, "seeds" if name != "seed" else "repeat": 1})
    except BenchError:
        return
    assert all(catalog.resolve_config(config) == config for config in configs)


def test_a_data_sets_parameters_go_to_the_data_sets_that_have_them():
    configs = expand(dataset="shapes,airbus", dataset_param=["balance_ships=200,20", "empty_fraction=0.2"])
    assert [(config.dataset, config.dataset_params) for config in configs] == [
        ("shapes", {"empty_fraction": 0.2}),
        ("airbus", {"balance_ships": 200, "empty_fraction": 0.2}),
        ("airbus", {"balance_ships": 20, "empty_fraction": 0.2}),
    ]
    assert all(catalog.resolve_config(config) == config for config in configs)
    assert all(TrialConfig.from_dict(config.to_dict()) == config for config in configs)
    assert trial_key(configs[1], "one") == trial_key(configs[2], "one")  # the data's fingerprint differs
    assert expand(dataset="airbus", dataset_param={"balance_ships": 0, "empty_fraction": 1})[0].dataset_params == {}


def test_a_toml_file_gives_a_data_sets_parameters_as_a_table_or_dotted(tmp_path):
    head = 'arch = "unet"\ndataset = "airbus"\n'
    dotted = plan(tmp_path, f"{head}dataset-param.balance_ships = [200, 20]\n")
    assert [config.dataset_params for config in dotted] == [{"balance_ships": 200}, {"balance_ships": 20}]
    assert plan(tmp_path, f"{head}[dataset-param]\nbalance_ships = [200, 20]\n") == dotted
    (config,) = plan(tmp_path, f"{head}[dataset-param]\nbalance_ships = 5\n", dataset_param=["empty_fraction=0.5"])
    assert config.dataset_params == {"balance_ships": 5, "empty_fraction": 0.5}


def test_a_data_sets_parameters_are_refused_where_none_has_them():
    for options, message in (
        (
            {"dataset": "shapes,pets", "dataset_param": ["balance_ships=5"]},
            "no parameter of shapes, pets; airbus has it",
        ),
        ({"dataset": "airbus", "dataset_param": ["ballast=5"]}, "--dataset-param ballast: no parameter of airbus."),
        ({"dataset": "airbus", "dataset_param": ["empty_fraction=some"]}, "of type float, but got 'some'"),
        (
            {"dataset": "airbus", "dataset_param": ["balance_ships"]},
            "--dataset-param is 'balance_ships'. Accepted: key=",
        ),
        (
            {"dataset": "airbus", "balance-ships": "5"},
            "the data set airbus: write --dataset-param balance_ships=VALUE.",
        ),
        (
            {"dropout": 0.1},
            "more: write --param dropout=VALUE.",
        ),
    ):
        with pytest.raises(BenchError, match=re.escape(message)):
            expand(**options)
    with pytest.raises(BenchError, match=r"Unknown parameter of airbus 'ballast'.*balance_ships"):
        catalog.resolve_config(TrialConfig("unet", "airbus", dataset_params={"ballast": 5}))


def test_a_toml_file_that_names_what_is_measured_is_sent_to_bench_speed(tmp_path):
    for text in ('measure = "speed"\n', '[[trials]]\nmeasure = "speed"\n'):
        with pytest.raises(
            BenchError, match=r"name in .*: 'measure' is no option. Leave it out, and use `bench speed`"
        ):
            plan(tmp_path, text)


def test_a_share_and_a_number_of_training_images_are_one_choice():
    with pytest.raises(BenchError, match=r"--train-fraction .* or --train-images .*, not both"):
        grid.expand({"arch": "unet", "dataset": "shapes", "train_images": "5", "train_fraction": "0.5"})
    found = grid.expand({"arch": "unet", "dataset": "shapes", "train_images": "5,50,all"})
    assert [config.train_limit for config in found] == [5, 50, None]
