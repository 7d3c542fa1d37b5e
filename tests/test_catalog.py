"""The catalog: built-in specs, plug-ins in a child process, entry points, and the checks of a configuration."""

import json
import re
import shlex
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.config import catalog, plugin_specs
from bench.core.code.import_by_name import import_by_name
from bench.core.errors import BenchError
from bench.core.files import file_hash
from bench.core.specs import LOSS_TERMS, DatasetSpec, KaggleSource, SubmissionFormat
from bench.core.trial_config import TrialConfig
from bench.plugin import dataset_from

ROOT = Path(__file__).parents[1]
PLUGINS = Path(__file__).parent / "plugins"
NET = "from bench.plugin import architecture\n@architecture(name='{}')\ndef build(input_shape, num_classes{}): ...\n"
SMALL = str(PLUGINS / "small_net.py")


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch):
    """Each test starts without plug-ins, and leaves none."""
    monkeypatch.setattr(catalog, "_plugins", {})


@pytest.fixture
def config(quick_backend):
    return TrialConfig(arch="unet", dataset="shapes", backend=quick_backend)


def test_defaults_are_filled_in_and_aliases_replaced(config):
    resolved = catalog.resolve_config(replace(config, arch="deeplabv3plus", params={"output_stride": 16, "dropout": 0}))
    assert (resolved.arch, resolved.backbone) == ("deeplab", "mobilenet_v2")
    assert resolved.params == {"dropout": 0.0}  # output_stride is its default, and an int is a float where one is due
    assert catalog.resolve_config(resolved) == resolved
    assert catalog.resolve_config(config).backbone is None


def test_weights_become_an_absolute_path_or_none_without_a_backbone(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("some.weights.h5").touch()
    with_backbone = replace(config, weights="some.weights.h5", backbone="resnet50")
    assert catalog.resolve_config(with_backbone).weights == str(tmp_path / "some.weights.h5")
    assert catalog.resolve_config(replace(config, weights="imagenet")).weights == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "unett"}, "Unknown architecture 'unett'. Did you mean 'unet'"),
        ({"arch": "my_net"}, "For an architecture of your own give its file: --plugin FILE.py."),
        ({"dataset": "shape"}, "Unknown data set 'shape'. Did you mean 'shapes'"),
        ({"backbone": "resnet5"}, "Did you mean 'resnet50' or 'resnet50_vd' or 'resnet101'? Available: vgg16"),
        ({"arch": "deeplab", "backbone": "none"}, "deeplab needs a backbone. It accepts: mobilenet_v2"),
        ({"image_size": (100, 130)}, "The next size that fits is 112x144"),
        ({"weights": "no/such.h5"}, "There is no weights file 'no/such.h5'. Accepted: none, imagenet or"),
        ({"params": {"filter": [8]}}, "Did you mean 'filters'? It has: filters (list"),
        ({"params": {"filters": 8}}, "'filters' of unet is of type list, but got 8. Write --param 'filters=[4,8]'"),
        ({"params": {"kernel_size": True}}, "'kernel_size' of unet is of type int, but got True"),
        ({"loss": "0*ce"}, "The loss '0*ce' has the weight '0', which is no number above 0"),
        (
            {"image_size": (16, 160_000)},
            "--image-size is 16x160000. Accepted: pixels, such as 128, or height x width, such as 128x192; each",
        ),
        ({"batch_size": 0}, "--batch-size is 0. Accepted: a whole number from 1 to 65536"),
        ({"lr": -1.0}, "--lr is -1. Accepted: a number above 0"),
        ({"lr": float("nan")}, "--lr is nan"),
        (
            {"resize": "strech"},
            "Unknown value of --resize 'strech'. Did you mean 'stretch'? Available: stretch, letterbox",
        ),
        ({"schedule": "lineer"}, "Unknown schedule 'lineer'. Did you mean 'linear'"),
        ({"loss": "ce+dise"}, "Unknown loss 'dise'. Did you mean 'dice'? Available: ce, bce, dice, focal"),
        ({"select": "first"}, "Unknown value of --select 'first'. Available: last, best"),
        ({"augment": "strongest"}, "Unknown augmentation 'strongest'. Did you mean 'strong'? Available: none"),
        ({"backend": "tenserflow"}, "Unknown value of --backend 'tenserflow'. Did you mean 'tensorflow'"),
        ({"precision": "float16"}, "Unknown value of --precision 'float16'. Did you mean"),
        ({"train_fraction": 1.5}, "--train-fraction is 1.5. Accepted: a number above 0, up to 1"),
        ({"train_limit": 0}, "--train-images is 0. Accepted: a number of images of 1 or more"),
        ({"seed": -1}, "--seed is -1. Accepted: whole numbers from 0"),
        ({"plugin": "no_such.py"}, "There is no plug-in 'no_such.py'. Give --plugin the path of a Python file"),
    ],
)
def test_what_can_not_be_run_is_said_in_one_line(config, change, message):
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        catalog.resolve_config(replace(config, **change))
    assert "\n" not in str(caught.value)


def test_a_backend_that_is_not_installed_comes_with_its_pip_line(config, monkeypatch):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: False)
    with pytest.raises(BenchError, match=re.escape("pip install 'segbench[torch]'")):
        catalog.resolve_config(replace(config, backend="torch"))


@pytest.mark.parametrize(
    ("loss", "stored"),
    [
        ("ce", "ce"),
        ("dice", "dice"),
        (" dice + ce ", "ce+dice"),
        ("tversky+focal + 2*lovasz+bce", "bce+focal+2*lovasz+tversky"),
        ("1.0*ce+dice", "ce+dice"),
        ("0.50*ce + dice", "0.5*ce+dice"),
        ("1e-3*ce", "0.001*ce"),
        ("dice+2*dice", "3*dice"),
        ("100000000000000000000*ce", "1e20*ce"),
    ],
)
def test_the_loss_is_stored_in_one_spelling_that_training_takes(config, loss, stored):
    from bench.training.losses import loss_function

    resolved = catalog.resolve_config(replace(config, loss=loss))
    assert resolved.loss == stored
    assert catalog.resolve_config(resolved) == resolved
    loss_function(stored)


def test_the_losses_in_the_spec_are_those_of_the_implementation():
    from bench.training.losses import TERMS

    assert set(LOSS_TERMS) == set(TERMS)


def test_a_plugin_is_read_in_a_child_process_and_its_builder_runs(config, tmp_path):
    file = str(shutil.copy(SMALL, tmp_path / "never_imported_here.py"))
    resolved = catalog.resolve_config(
        replace(config, arch="sn", dataset="stripes", plugin=file, params={"filters": (8, 4)})
    )
    assert (resolved.arch, resolved.plugin, resolved.params) == ("small_net", file, {"filters": [8, 4]})
    assert not [name for name in sys.modules if "never_imported_here" in name]
    spec = catalog.architecture(resolved)
    assert {p.name: (p.type, p.default) for p in spec.params} == {
        "filters": ("list", (4, 8)),
        "depth": ("int", 2),
        "dropout": ("float", 0.0),
        "activation": ("str", "relu"),
        "bias": ("bool", True),
    }
    model = catalog.load_builder(spec)((16, 16, 3), 2, backbone=None, weights=None, filters=[8, 4])
    assert model.output_shape == (None, 16, 16, 2)
    assert catalog.dataset(resolved).classes == ("ground", "stripe")


def test_the_submission_format_of_a_plugins_data_set_arrives_as_it_was_said():
    form = SubmissionFormat(("img", "rle"), "row", by_object=True)
    spec = DatasetSpec("mine", "mine.py:load", ("a", "b"), kaggle=KaggleSource("rocks", ("x.zip",), 1, "by hand", form))
    assert dataset_from(json.loads(json.dumps(asdict(spec)))) == spec


def test_a_plugin_stands_only_in_trials_that_use_it(config):
    assert catalog.resolve_config(replace(config, plugin=SMALL)).plugin is None
    assert catalog.resolve_config(replace(config, dataset="stripes", plugin=SMALL)).plugin == SMALL


def test_the_answer_is_kept_until_the_file_changes(tmp_path, monkeypatch):
    calls = []
    real = plugin_specs.ask
    monkeypatch.setattr(plugin_specs, "ask", lambda *a: calls.append(a) or real(*a))
    file = tmp_path / "net.py"
    text = NET.format("net_{}", "")
    for version, children in ((1, 1), (1, 1), (2, 2)):
        file.write_text(text.format(version))
        catalog._load.cache_clear()
        catalog.add_plugin(file)
        assert len(calls) == children
    assert "net_2" in catalog.architectures()
    assert "net_1" not in catalog.architectures()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ((PLUGINS / "throws.py").read_text(), "can't be imported: RuntimeError: no such thing as a free lunch"),
        ((PLUGINS / "empty.py").read_text(), "defines nothing. Put @architecture(name=...)"),
        ("def broken(:\n", "can't be imported: SyntaxError"),
        ("import time\ntime.sleep(60)\n", "can't be imported: no answer within 1 s"),
        (
            NET.format("net", ", depth"),
            "The parameter 'depth' of the builder 'build' needs a default",
        ),
        (
            NET.format("unet", ""),
            "The architecture name 'unet' is taken",
        ),
        (
            NET.format("net', help={'width': 'channels'}, summary='", ", width2=3"),
            "The builder 'build' has no parameter 'width', which its decorator names",
        ),
        (
            NET.format("net', size_divisor='stride', summary='", ""),
            "The size_divisor of the architecture 'net' is 'stride'. Accepted: a whole number, the name of a parameter",
        ),
        ("from bench.samples import Sample\n", "Write: from bench.plugin import Dataset, DataFault, Sample"),
        ("import bench.no_such_module\n", "no_such_module, which segbench doesn't have. Import what it needs from"),
        ("from bench.pipeline.pack import Pack\n", "imports bench.pipeline, which segbench doesn't have. Import"),
    ],
)
def test_a_plugin_that_can_not_be_used_ends_in_one_line(tmp_path, monkeypatch, text, message):
    if "sleep" in text:
        monkeypatch.setattr(plugin_specs, "PROBE_SECONDS", 1.0)
    file = tmp_path / "plugin.py"
    file.write_text(text)
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        catalog.add_plugin(file)
    assert "\n" not in str(caught.value)
    assert "unet" in catalog.architectures()  # the others still work


def test_an_edited_plugin_is_imported_anew_in_the_same_process(tmp_path):
    file = tmp_path / "answers.py"
    for answer in (41, 42):  # of the same length, within the same second
        file.write_text(f"def answer(): return {answer}\n")
        assert import_by_name(f"{file}:answer")() == answer
    assert import_by_name(f"{file}:answer") is import_by_name(f"{file}:answer")


def test_the_source_hash_is_that_of_the_files_that_are_not_built_in(config, tmp_path):
    assert catalog.source_hash(config) is None
    assert catalog.source_hash(replace(config, dataset="stripes", plugin=SMALL)) == file_hash(SMALL)
    assert catalog.source_hash(replace(config, arch="small_net", dataset="stripes", plugin=SMALL)) == file_hash(SMALL)
    other = tmp_path / "other.py"
    other.write_text(NET.format("other", ""))
    catalog.add_plugin(SMALL)
    both = catalog.source_hash(replace(config, arch="other", dataset="stripes", plugin=str(other)))
    assert both not in (None, file_hash(SMALL), file_hash(other))


def test_an_installed_package_names_its_module(tmp_path, monkeypatch):
    (tmp_path / "their_nets").mkdir()
    (tmp_path / "their_nets" / "__init__.py").write_text("raise RuntimeError('imported in the parent or needlessly')")
    (tmp_path / "their_net.py").write_text((PLUGINS / "small_net.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(plugin_specs, "entry_points", lambda: ["their_net", "their_nets", "not_there"])
    catalog._load.cache_clear()
    try:
        assert catalog.architectures().get("small_net").build == "their_net:build_small_net"
        assert "their_net" not in sys.modules
        with_theirs = TrialConfig(arch="small_net", dataset="shapes")
        assert catalog.source_hash(with_theirs) == file_hash(tmp_path / "their_net.py")
        broken, absent = catalog.problems()
    finally:
        catalog._load.cache_clear()
    assert "'their_nets' can't be imported: RuntimeError" in broken
    assert "'not_there' is not installed" in absent


def contributed_plugin() -> str:
    return re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]


def test_the_command_of_contributing_plans_its_trials(tmp_path, monkeypatch, quick_backend):
    from typer.testing import CliRunner

    from bench.cli import app

    (command,) = re.findall(r"^    bench (run --plugin .*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    (tmp_path / "my_net.py").write_text(contributed_plugin())
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*shlex.split(command), "--backend", quick_backend, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "Planned trials: 4" in result.output


def test_the_plugin_of_contributing_is_short_and_trains(tmp_path, quick_backend):
    from bench.api import Budget, run

    assert len(contributed_plugin().splitlines()) <= 15
    file = tmp_path / "my_net.py"
    file.write_text(contributed_plugin())
    config = TrialConfig(
        *("my_net", "shapes"),
        plugin=str(file),
        backend=quick_backend,
        image_size=(16, 16),
        params={"filters": 8},
        budget=Budget(3, "steps"),
    )
    (record,) = run(config, results=tmp_path / "results")
    assert record.status == "ok", record.reason
    assert record.training["steps"] == 3
    assert record.config["params"] == {"filters": 8}


def test_a_folder_given_as_a_data_set_is_told_how_to_be_written(tmp_path):
    with pytest.raises(BenchError, match=re.escape(f"To read the images of that folder, write folder:{tmp_path}.")):
        catalog.find_dataset(str(tmp_path))


@pytest.mark.parametrize("arch", ["pan", "lraspp", "deeplab", "pspnet"])
@pytest.mark.parametrize("backbone", ["mit_b0", "convnext_tiny", "densenet121"])
def test_a_backbone_that_cannot_be_dilated_is_said_to_be_one(config, arch, backbone):
    with pytest.raises(BenchError, match=rf"{arch} can't take {backbone}: .* dilated to the stride 16") as caught:
        catalog.resolve_config(replace(config, arch=arch, backbone=backbone))
    assert "It accepts: " in str(caught.value) and "\n" not in str(caught.value)
