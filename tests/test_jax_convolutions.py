"""Convolutions on a CPU with JAX: equal to XLA's own, gradients too, and used only while tracing."""

import numpy as np
import pytest

pytestmark = pytest.mark.needs("jax")

CASES = [  # height, width, channels, kernel, strides, dilation, padding
    (8, 8, 3, (3, 3), (1, 1), (1, 1), "SAME"),
    (9, 7, 4, (3, 3), (2, 2), (1, 1), "SAME"),
    (9, 9, 2, (3, 3), (2, 2), (1, 1), "VALID"),
    (12, 11, 2, (3, 3), (1, 1), (4, 4), "SAME"),
    (10, 13, 5, (5, 5), (2, 1), (1, 1), "SAME"),
    (11, 6, 2, (1, 5), (1, 2), (2, 1), "valid"),
    (8, 8, 2, (3, 3), (3, 3), (1, 1), [(0, 2), (1, 1)]),
    (10, 10, 2, (2, 2), (3, 2), (1, 1), "VALID"),
    (5, 5, 2, (4, 3), (2, 2), (2, 2), [(3, 4), (5, 2)]),
]


@pytest.fixture
def draw():
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    return lambda *shape, dtype="float32": jnp.asarray(rng.standard_normal(shape), dtype)


@pytest.mark.parametrize(("height", "width", "channels", "kernel", "strides", "dilation", "padding"), CASES)
def test_outputs_and_gradients_equal_those_of_xla(draw, height, width, channels, kernel, strides, dilation, padding):
    import jax
    from jax import lax

    from bench.training.engines import jax_convolutions

    images, weights = draw(2, height, width, channels), draw(*kernel, 1, channels)

    def convolve(images, weights):
        return lax.conv_general_dilated(
            images, weights, strides, padding, rhs_dilation=dilation,
            dimension_numbers=jax_convolutions.LAYOUT, feature_group_count=channels,
        )  # fmt: skip

    def all_of(images, weights):
        outputs, backward = jax.vjp(convolve, images, weights)
        return outputs, *backward(outputs**2)

    expected = all_of(images, weights)
    with jax_convolutions.quick_convolutions("cpu"):
        program = str(jax.make_jaxpr(all_of)(images, weights))
        found = all_of(images, weights)
    assert "conv_general_dilated" not in program
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert abs(ours - theirs).max() <= 2e-6 * abs(theirs).max()


TRANSPOSED = [  # height, width, channels, kernel, strides, padding
    (4, 4, 3, (2, 2), (2, 2), [(1, 1), (1, 1)]),
    (5, 4, 2, (3, 3), (2, 2), [(1, 2), (1, 2)]),
    (3, 6, 2, (4, 4), (2, 3), [(2, 2), (3, 1)]),
    (4, 4, 2, (3, 1), (1, 2), [(1, 1), (0, 0)]),
    (2, 3, 2, (2, 2), (4, 4), [(1, 3), (1, 4)]),
    (5, 5, 2, (5, 4), (2, 2), [(0, 1), (1, 0)]),
]


@pytest.mark.parametrize(("height", "width", "channels", "kernel", "strides", "padding"), TRANSPOSED)
def test_transposed_convolutions_and_their_gradients_equal_those_of_xla(
    draw, height, width, channels, kernel, strides, padding
):
    import jax
    from jax import lax

    from bench.training.engines import jax_convolutions

    images, weights = draw(2, height, width, channels), draw(*kernel, 5, channels)

    def all_of(images, weights):
        outputs, backward = jax.vjp(
            lambda *both: lax.conv_transpose(
                *both, strides, padding, dimension_numbers=jax_convolutions.LAYOUT, transpose_kernel=True
            ),
            images,
            weights,
        )
        return outputs, *backward(outputs**2)

    expected = all_of(images, weights)
    with jax_convolutions.quick_convolutions("cpu"):
        found, program = all_of(images, weights), str(jax.make_jaxpr(all_of)(images, weights))
    assert "dot_general" in program
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert abs(ours - theirs).max() <= 2e-6 * abs(theirs).max()


@pytest.mark.parametrize(
    ("platform", "kernel", "options", "replaced"),
    [
        ("cpu", (3, 3, 1, 4), {"feature_group_count": 4}, True),
        ("gpu", (3, 3, 1, 4), {"feature_group_count": 4}, False),
        ("cpu", (3, 3, 1, 8), {"feature_group_count": 4}, False),  # two kernels a channel
        ("cpu", (7, 7, 1, 4), {"feature_group_count": 4}, False),
        ("cpu", (3, 3, 2, 4), {"feature_group_count": 2}, False),
        ("cpu", (3, 3, 4, 4), {}, False),
        ("cpu", (3, 3, 1, 4), {"feature_group_count": 4, "lhs_dilation": (2, 2)}, False),
    ],
)
def test_only_depthwise_convolutions_on_a_cpu_change(draw, platform, kernel, options, replaced):
    import jax
    from jax import lax

    from bench.training.engines.jax_convolutions import LAYOUT, quick_convolutions

    original = lax.conv_general_dilated
    with quick_convolutions(platform):
        program = jax.make_jaxpr(
            lambda images, weights: lax.conv_general_dilated(
                images, weights, (1, 1), [(1, 1), (1, 1)], dimension_numbers=LAYOUT, **options
            )
        )(draw(1, 8, 8, 4), draw(*kernel))
    assert ("conv_general_dilated" not in str(program)) is replaced
    assert lax.conv_general_dilated is original


def test_half_precision_is_summed_in_float32(draw):
    from bench.training.engines.jax_depthwise import depthwise

    images, weights = draw(1, 6, 6, 2, dtype="bfloat16"), draw(3, 3, 1, 2, dtype="bfloat16")
    geometry = (1, 1), (1, 1), ((1, 1), (1, 1))
    found, exact = (
        depthwise(images, weights, *geometry),
        depthwise(images.astype("float32"), weights.astype("float32"), *geometry),
    )
    assert found.dtype == "bfloat16"
    assert (found == exact.astype("bfloat16")).all()
