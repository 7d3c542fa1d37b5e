"""FCN: scores from zero, bilinear transposed convolutions, VGG16's pooled features, and the paper's count."""

import architecture_contract  # noqa: F401 - registers the backbone "tiny"
import keras
import numpy as np
import pytest

from bench.architectures.fcn import build_fcn8, build_fcn16, build_fcn32
from bench.architectures.sizes import check_image_size
from bench.config import catalog
from bench.core.errors import BenchError


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def model():
    return build_fcn8((64, 96, 3), 2, fc_filters=8)


def test_the_logits_begin_at_zero(model):
    assert not _numpy(model(np.ones((1, 64, 96, 3), np.float32))).any()


def test_scores_are_of_the_pooled_features_of_vgg16(model):
    for stride, block in ((8, 3), (16, 4)):
        assert model.get_layer(f"score{stride}").input is model.get_layer(f"backbone_block{block}_pool").output
    assert model.get_layer("fc6_conv").input is model.get_layer("backbone_block5_pool").output


def test_a_transposed_convolution_begins_as_bilinear_interpolation(model):
    scores = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    found = _numpy(model.get_layer("double16")(scores))
    wanted = _numpy(keras.layers.UpSampling2D(2, interpolation="bilinear")(scores))
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], wanted[:, 1:-1, 1:-1], atol=1e-6)  # the border fades to zero


def test_coarser_networks_leave_skips_out():
    def scores(build):
        model = build((32, 32, 3), 2, backbone="tiny")
        return {layer.name for layer in model.layers if layer.name.startswith(("score", "double"))}

    assert scores(build_fcn32) == {"score32"}
    assert scores(build_fcn16) == {"score32", "double16", "score16"}
    assert scores(build_fcn8) == {"score32", "double16", "score16", "double8", "score8"}


@pytest.mark.slow  # 134 million weights
def test_the_published_count_is_met():
    vgg16 = 14_714_688  # convolutions
    fc = (7 * 7 * 512 * 4096 + 4096) + (4096 * 4096 + 4096)
    scores = (4096 + 512 + 256) * 21 + 3 * 21
    doubles = 2 * 4 * 4 * 21 * 21
    count = build_fcn8((32, 32, 3), 21).count_params()
    assert count == vgg16 + fc + scores + doubles
    assert round(count / 1e6) == 134  # table 1 of the paper


def test_other_backbones_have_no_fc_filters():
    spec = catalog.architectures().get("fcn8")
    check_image_size(spec, (32, 64), "vgg16", {"fc_filters": 8})
    with pytest.raises(BenchError, match="fcn with mobilenet has no parameter 'fc_filters'"):
        check_image_size(spec, (32, 64), "mobilenet", {"fc_filters": 8})
