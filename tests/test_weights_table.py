"""--weights as a table by backbone: every backbone of a grid with the weights of its own."""

import re

import pytest

from bench.config import grid
from bench.config.given import read_toml
from bench.core.errors import BenchError
from bench.results.store import ResultsFolder
from bench.trials import plan as planning
from bench.trials.identity import trial_key


@pytest.fixture(autouse=True)
def any_backend(monkeypatch):
    """The grid plans for backends that this machine need not have."""
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)


@pytest.fixture
def files(tmp_path):
    """The paths of two files; whether they fit takes a model to say."""
    paths = [tmp_path / name for name in ("a.h5", "b=1, new.h5")]
    for path in paths:
        path.write_bytes(path.name.encode())
    return [str(path) for path in paths]


def expand(**options):
    return grid.expand({"arch": "unet,fpn", "backbone": "vgg16,resnet50", "dataset": "shapes", **options})


def weights_of(configs):
    return [(config.pair, config.weights) for config in configs]


def in_toml(tmp_path, text):
    file = tmp_path / "grid.toml"
    file.write_text(f'arch = "fpn"\ndataset = "shapes"\nbackbone = "vgg16,resnet50"\n{text}', encoding="utf-8")
    return grid.configs({}, read_toml(file))


def test_each_backbone_gets_its_entry_on_the_command_line(files):
    found = weights_of(expand(weights=f"vgg16={files[0]}, resnet50 = imagenet"))
    wanted = {"vgg16": files[0], "resnet50": "imagenet"}
    assert found == [(f"{arch}:{name}", wanted[name]) for arch in ("unet", "fpn") for name in wanted]


@pytest.mark.parametrize(
    "text",
    [
        "weights.vgg16 = '{0}'\nweights.resnet50 = 'none'",
        "weights = {{vgg16 = '{0}', resnet50 = 'none'}}",
        "[weights]\nvgg16 = '{0}'\nresnet50 = 'none'",
        "[[trials]]\nweights.vgg16 = '{0}'\nweights.resnet50 = 'none'",
    ],
)
def test_each_backbone_gets_its_entry_in_a_toml_file_also_if_its_path_has_a_comma(tmp_path, files, text):
    found = weights_of(in_toml(tmp_path, text.format(files[1])))
    assert set(found) >= {("fpn:vgg16", files[1]), ("fpn:resnet50", "none")}


def test_the_command_line_replaces_the_table_of_a_file(tmp_path, files):
    file = tmp_path / "grid.toml"
    file.write_text('arch = "fpn:vgg16"\ndataset = "shapes"\nweights.resnet50 = "imagenet"', encoding="utf-8")
    (config,) = grid.configs({"weights": f"vgg16={files[0]}"}, read_toml(file))
    assert config.weights == files[0]


def test_a_table_beside_a_single_value_is_another_point_of_the_axis(files):
    found = weights_of(expand(arch="fpn", weights=f"none,vgg16={files[0]},resnet50=imagenet"))
    assert sorted(found) == sorted(
        [("fpn:vgg16", "none"), ("fpn:resnet50", "none"), ("fpn:vgg16", files[0]), ("fpn:resnet50", "imagenet")]
    )


def test_several_values_of_a_backbone_are_its_own_axis_and_equal_trials_are_run_once(tmp_path, files):
    wanted = [("fpn:resnet50", "none"), ("fpn:vgg16", "none"), ("fpn:vgg16", files[0])]
    by_text = expand(arch="fpn", weights=f"vgg16={files[0]},vgg16=none,resnet50=none")
    by_file = in_toml(tmp_path, f"weights.vgg16 = ['{files[0]}', 'none']\nweights.resnet50 = 'none'")
    assert sorted(weights_of(by_text)) == sorted(weights_of(by_file)) == sorted(wanted)


def test_an_alias_names_its_backbone_and_a_default_backbone_has_its_entry(files):
    assert weights_of(expand(arch="fpn", backbone="vgg_16", weights=f"vgg_16={files[0]}")) == [("fpn:vgg16", files[0])]
    assert weights_of(expand(arch="lraspp", backbone=None, weights="mobilenet_v3=imagenet")) == [
        ("lraspp:mobilenet_v3_large", "imagenet")
    ]


def test_a_model_without_a_backbone_needs_no_entry():
    found = weights_of(expand(arch="unet", backbone="none,vgg16", weights="vgg16=imagenet"))
    assert found == [("unet", "none"), ("unet:vgg16", "imagenet")]


def test_a_table_gives_the_key_that_the_same_weights_have_without_one(files):
    def keys(**options):
        return [trial_key(config, "data") for config in expand(arch="fpn", **options)]

    for weights in ("none", "imagenet", files[0]):
        alone = keys(backbone="vgg16", weights=[weights])
        assert keys(backbone="vgg16", weights=[{"vgg16": weights, "resnet50": "imagenet"}]) == alone


def test_a_path_with_an_equals_sign_is_a_path_if_it_has_a_folder_or_an_ending_before_it(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run=3.h5").touch()
    for given in (str(tmp_path / "run=3.h5"), "./run=3.h5"):
        assert {config.weights for config in expand(weights=given)} == {str(tmp_path / "run=3.h5")}
    with pytest.raises(BenchError, match=r"Unknown backbone in --weights 'run'.* write \./run="):
        expand(weights="run=3.h5")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("vgg16=none", "--weights has no entry for the backbone resnet50 of unet. It has: vgg16. Add resnet50=PATH"),
        ("vgg16=none,resnet5=none", "Unknown backbone in --weights 'resnet5'. Did you mean 'resnet50'"),
        ("vgg16=none,resnet50=/no/such.h5", "There is no weights file '/no/such.h5'. Accepted: none, imagenet or"),
        ("vgg16=none,resnet50=", "The --weights of the backbone 'resnet50' are ''. Accepted: none, imagenet"),
        ("vgg16=none,vgg_16=imagenet,resnet50=none", "names the backbone vgg16 twice, as 'vgg_16' too"),
        ([{}], "--weights is '{}'. Accepted: none, imagenet, the path of a file, or one of these for each backbone"),
        ([{"vgg16": []}], "The --weights of the backbone 'vgg16' are '[]'"),
        ([{"vgg16": {"a": "none"}}], "The --weights of the backbone 'vgg16' are '{'a': 'none'}'"),
        ([{"vgg16": 5}], "The --weights of the backbone 'vgg16' are '5'"),
    ],
)
def test_a_table_that_can_not_be_used_is_one_line(weights, message):
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        expand(weights=weights)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_said_although_no_model_has_a_backbone():
    with pytest.raises(BenchError, match="Unknown backbone in --weights 'nothing'"):
        expand(arch="unet", backbone=None, weights="nothing=none")


def test_all_architectures_leave_out_those_without_an_entry():
    left_out = []
    found = grid.expand({"arch": "all", "dataset": "shapes", "weights": "mobilenet_v2=imagenet"}, left_out)
    assert {config.weights for config in found if config.backbone} == {"imagenet"}
    assert any("upernet" in line and "no entry for the backbone" in line for line in left_out), left_out


def test_weights_that_do_not_fit_are_said_before_any_data_is_opened(files, tmp_path, monkeypatch):
    def refuse(configs):
        raise BenchError(f"{configs[1].weights} doesn't fit {configs[1].backbone}")

    monkeypatch.setattr(planning, "check_models", refuse)
    monkeypatch.setattr(planning, "_data", lambda *args: pytest.fail("the data were opened"))
    configs = expand(arch="fpn", weights=f"vgg16=none,resnet50={files[0]}")
    with pytest.raises(BenchError, match=r"a\.h5 doesn't fit resnet50"):
        planning.plan(configs, ResultsFolder(tmp_path / "r"), ["cpu"])
