"""Outside reference models: the messages if their package is missing, and the operations of their blocks."""

import importlib.util

import pytest

from bench.architectures import read_specs
from bench.architectures.sizes import check_image_size
from bench.commands import doctor_facts
from bench.config import grid
from bench.core.code.import_by_name import import_by_name
from bench.core.errors import BenchError
from bench.profiling.flops import forward_flops
from bench.trials import preflight

OUTSIDE = [spec for spec in read_specs() if spec.package]
every_outside = pytest.mark.parametrize("spec", OUTSIDE, ids=lambda spec: spec.name)


@pytest.fixture
def missing(monkeypatch):
    """Neither keras-cv nor keras-hub can be found."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name.startswith("keras_") else found(name, *rest)
    )


def pip_line(spec):
    extra = spec.package.replace("_", "-")
    return f"{spec.name} needs the package {extra}, which is not installed: pip install 'segbench[{extra}]'"


@every_outside
def test_a_missing_package_is_one_line_at_planning_and_at_building(spec, missing):
    for ask in (
        lambda: grid.expand({"arch": spec.name, "dataset": "shapes", "image_size": 64}),
        lambda: import_by_name(spec.build)((64, 64, 3), 2),
    ):
        with pytest.raises(BenchError) as error:
            ask()
        assert str(error.value) == pip_line(spec)


def test_doctor_says_which_outside_packages_are_there(monkeypatch):
    assert set(doctor_facts.outside_packages()) == {"keras-cv", "keras-hub"}
    monkeypatch.setattr(doctor_facts, "installed", lambda name: False)
    lines = doctor_facts.outside_packages()
    assert lines["keras-hub"] == (
        "not installed, needed by kerashub_deeplab_v3, kerashub_segformer, resnet50_vd, dinov2_small, dinov3_small: "
        "pip install 'segbench[keras-hub]'"
    )


def test_a_model_that_cannot_be_built_here_is_described_by_its_reason(missing, monkeypatch):
    monkeypatch.setattr(preflight, "_answers", lambda kind, configs, **_: [{"params": 1} for _ in configs])
    wanted = [grid.TrialConfig(name, "", image_size=(64, 64)) for name in ("unet", "kerascv_segformer")]
    facts = preflight.summaries(wanted)
    assert facts == [{"params": 1}, {"error": pip_line(OUTSIDE[1])}]
    monkeypatch.undo()
    monkeypatch.setattr(preflight, "check_installed", lambda *names: None)
    monkeypatch.setattr(preflight, "quickest", lambda accepted: None)
    assert preflight._lack(OUTSIDE[1], None) == ("kerascv_segformer runs only with tensorflow, which is not installed.")


@pytest.mark.needs("keras_hub")
def test_segformer_takes_square_images_only():
    (spec,) = [spec for spec in OUTSIDE if spec.name == "kerashub_segformer"]
    config = {"arch": spec.name, "dataset": "shapes", "backend": "jax"}
    with pytest.raises(BenchError, match=r"equal multiples of 32. The next size that fits is 96x96"):
        grid.expand({**config, "image_size": "64x96"})
    with pytest.raises(BenchError, match="fits is 64x64"):
        grid.expand({**config, "image_size": "32"})


@pytest.mark.parametrize(
    ("arch", "params", "message"),
    [
        ("kerashub_segformer", {"depths": [1, 1]}, "'depths' can't be .1, 1.. It needs four whole numbers"),
        ("kerashub_segformer", {"depths": [[1, 1, 1, 1]]}, "four whole numbers"),
        ("kerashub_segformer", {"hidden_dims": [8, 10, 21, 32]}, "multiples of the attention heads: 1, 2, 5, 8"),
        ("kerashub_deeplab_v3", {"filters": [32, 64, 64, 64]}, "the first stage of these ResNets has 64"),
    ],
)
def test_stages_that_cannot_be_are_one_line(arch, params, message):
    (spec,) = [spec for spec in OUTSIDE if spec.name == arch]
    with pytest.raises(BenchError, match=message):
        check_image_size(spec, (64, 64), None, params)


@pytest.mark.needs("keras_hub")
def test_the_parts_of_a_transformer_s_block_are_counted():
    model = import_by_name("bench.architectures.kerashub:build_segformer")(
        (64, 64, 3), 3, hidden_dims=(8, 10, 20, 32), depths=(1, 1, 1, 1), projection_filters=8
    )
    # Decoder: linear layers at strides 4 to 32, then 1x1 convolutions at stride 4.
    linear = 8 * (16 * 16 * 8 + 8 * 8 * 10 + 4 * 4 * 20 + 2 * 2 * 32)
    fuse, logits = 16 * 16 * 4 * 8 * 8, 16 * 16 * 8 * 3
    # A stage of n tokens, c channels and m reduced tokens: patches, the reduction, queries and output, keys and values,
    # scores and their sums, and the two linear layers with a 3x3 depthwise convolution between.
    encoder = 0
    for n, c, before, patch, ratio in ((256, 8, 3, 7, 8), (64, 10, 8, 3, 4), (16, 20, 10, 3, 2), (4, 32, 20, 3, 1)):
        m = n // ratio**2
        reduction = m * ratio**2 * c * c if ratio > 1 else 0
        encoder += n * patch**2 * before * c + reduction + 2 * n * c * c + 2 * m * c * c + 2 * n * m * c
        encoder += 2 * n * c * 4 * c + n * 9 * 4 * c
    assert forward_flops(model) / 2 == encoder + linear + fuse + logits
