"""Builders that make something else than what a trial says that it measures: the trial is a row with the reason."""

from dataclasses import replace
from pathlib import Path

import keras
import pytest
from running import run

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.training.build import build_model

PLUGIN = Path(__file__).parent / "plugins" / "wrong_net.py"
CONFIG = TrialConfig(
    "wrong_net",
    "shapes",
    plugin=str(PLUGIN),
    image_size=(16, 32),
    batch_size=4,
    backend=keras.backend.backend(),
    budget=Budget(5, "steps"),
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No other plug-in, and Keras's settings back at the end."""
    monkeypatch.setattr(catalog, "_plugins", {})
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def build(wrong, **changes):
    return build_model(replace(CONFIG, params={"wrong": wrong}, **changes), 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("policy", r"The layer 'conv2d\S*' of wrong_net computes in bfloat16\. .*precision is float32"),
        ("mixed_bfloat16", r"computes in bfloat16"),
        ("float16", r"computes in float16"),
        ("inner", r"computes in bfloat16"),
        ("bfloat16 logits", r"The logits of wrong_net are bfloat16\. .*precision is float32"),
        ("int32 logits", r"The logits of wrong_net are int32\."),
        ("half size", r"shape \(None, 8, 16, 3\), but it must be \(None, 16, 32, 3\)"),
        ("more classes", r"shape \(None, 16, 32, 4\), but"),
        ("two outputs", r"shape \[\(None, 16, 32, 3\), \(None, 16, 32, 3\)\], but"),
        ("any size", r"shape \(None, None, None, 3\), but"),
        ("a layer", r"returned <Conv2D .*Accepted: a keras\.Model"),
        ("none", r"returned None\. Accepted: a keras\.Model"),
    ],
)
def test_a_model_that_is_not_what_the_record_would_say_is_refused(wrong, message):
    with pytest.raises(BenchError, match=message) as error:
        build(wrong)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_model_in_the_precision_of_its_trial_is_accepted(precision):
    assert build("nothing", precision=precision).output_shape == (None, 16, 32, 3)


def test_layers_in_the_precision_of_the_trial_may_say_so_themselves():
    assert build("policy", precision="mixed_bfloat16")
    with pytest.raises(BenchError, match="computes in float16"):
        build("float16", precision="mixed_bfloat16")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('set_dtype_policy("float16")', "wrong_net set Keras's dtype policy to float16"),
        ('set_floatx("bfloat16")', "Keras's floatx is bfloat16, but must be float32"),
    ],
)
def test_a_setting_that_a_plug_in_makes_when_it_is_imported_is_refused(tmp_path, setting, message):
    plugin = tmp_path / "net.py"
    plugin.write_text(
        "import keras\n" + PLUGIN.read_text().replace('"""A plug', f'keras.config.{setting}\n"""A plug', 1)
    )
    with pytest.raises(BenchError, match=message):
        build("nothing", plugin=str(plugin))


@pytest.mark.slow
@pytest.mark.needs("jax")
def test_trials_of_wrong_models_are_rows_and_the_grid_goes_on(tmp_path):
    kinds = ["nan", "nan in inference", "half size", "policy", "nothing"]
    configs = [replace(CONFIG, backend="jax", params={"wrong": wrong}) for wrong in kinds]
    records = run(configs, results=tmp_path / "r")
    assert [r.status for r in records] == ["diverged", "diverged", "failed", "failed", "ok"]
    assert "logits of a test image are not finite" in records[1].reason
    assert all("(" not in r.reason or "shape" in r.reason for r in records)
