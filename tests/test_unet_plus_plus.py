"""U-Net++: what its nodes join, its heads of deep supervision, its published count, and options it refuses."""

import architecture_contract as contract
import pytest

from bench.architectures.unet_plus_plus import build_unet_plus_plus
from bench.core.errors import BenchError
from bench.training.engines.engine import training_model


@pytest.fixture(autouse=True)
def without_values():
    with contract.zero_initializers():
        yield


def test_a_node_joins_its_level_and_the_node_below():
    model = build_unet_plus_plus((32, 32, 3), 2, filters=(2, 3, 5, 7))
    # X(1, 2) takes X(1, 0), X(1, 1) and X(2, 1) enlarged to its own 3 channels; X(0, 3) four of level 0
    assert model.get_layer("x12_concat").output.shape == (None, 16, 16, 3 + 3 + 3)
    assert model.get_layer("x03_concat").output.shape == (None, 32, 32, 3 * 2 + 2)
    assert model.get_layer("x12_up").input is model.get_layer("x21_1_relu").output


def test_the_nodes_before_the_last_have_the_backbones_channels():
    model = build_unet_plus_plus((32, 32, 3), 2, backbone="tiny")  # 8, 16, 16, 32 channels at strides 2 to 16
    widths = [model.get_layer(f"x{i}1_1_relu").output.shape[-1] for i in range(4)]
    assert widths == [8, 16, 16, 256]  # X(3, 1) is the last of its level
    assert model.get_layer("x04_1_relu").output.shape == (None, 16, 16, 32)
    assert model.get_layer("final0_1_relu").output.shape == (None, 32, 32, 16)


@pytest.mark.parametrize("backbone", [None, "tiny"])
def test_deep_supervision_adds_a_head_a_node_in_training_only(backbone):
    options = {} if backbone else {"filters": (2, 3, 5, 7, 9)}
    build = [
        build_unet_plus_plus((32, 32, 3), 2, backbone=backbone, deep_supervision=on, **options) for on in (False, True)
    ]
    plain, supervised = build
    assert training_model(plain) is plain
    assert supervised.count_params() == plain.count_params()
    assert [tuple(output.shape) for output in training_model(supervised).outputs] == [(None, 32, 32, 2)] * 4


def test_the_published_count_is_met():
    model = build_unet_plus_plus((16, 16, 3), 1)
    norms = 2 * 4 * (5 * 32 + 4 * 64 + 3 * 128 + 2 * 256 + 512)  # two a node, four values a channel
    assert round((model.count_params() - norms) / 1e6, 2) == 9.04  # table 3 of the paper


def test_bad_options_are_said():
    with pytest.raises(BenchError, match="without a backbone can't take the weights 'imagenet'"):
        build_unet_plus_plus((32, 32, 3), 2, weights="imagenet")
    with pytest.raises(BenchError, match=r"needs 5 decoder_filters \(strides 16 to 1\), not \[8\]"):
        build_unet_plus_plus((32, 32, 3), 2, backbone="tiny", decoder_filters=[8])
