"""keras-hub's ResNet-vd as a network for backbones.py, and the average pooling of its shortcuts, dilated.

He, Zhang, Zhang, Zhang, Xie, Li 2019, "Bag of Tricks for Image Classification with Convolutional Neural Networks",
arXiv:1812.01187, section 4 (ResNet-D): a stem of three 3x3 convolutions, the stride in the blocks' 3x3 convolution, and
in front of a strided block's 1x1 shortcut an average of 2 x 2 pixels.

Trainable parameters with a classifier of 1000 classes: 25,576,264, as timm's resnet50d has.
"""

from typing import Any

import keras
from keras import layers, ops

from bench.architectures.outside import outside_package

TAPS = {
    2: "conv3_relu",
    4: "stack0_block2_out",
    8: "stack1_block3_out",
    16: "stack2_block5_out",
    32: "stack3_block2_out",
}


def resnet50_vd(
    *, include_top: bool = False, input_shape: tuple[int, int, int], weights: str | None = None
) -> keras.Model:
    """Build ResNet-50-vd like a network of keras.applications: normalised images -> features of stride 32."""
    hub = outside_package("resnet50_vd", "keras_hub").models.ResNetBackbone
    if weights == "imagenet":
        return hub.from_preset("resnet_vd_50_imagenet", image_shape=input_shape)
    return hub(
        input_conv_filters=[32, 32, 64],
        input_conv_kernel_sizes=[3, 3, 3],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block_vd",
        image_shape=input_shape,
    )


@keras.saving.register_keras_serializable(package="segbench")
class DilatedMean(layers.Layer):  # type: ignore[misc]
    """The mean of four pixels that are `rate` apart, without stride: (B, h, w, C) -> (B, h, w, C).

    Where the map has the grid of the strided network, it has the values of an average pooling of 2 x 2. The last rows
    and columns are paired with themselves.
    """

    def __init__(self, rate: int, **options: Any):
        super().__init__(**options)
        self.rate = rate

    def call(self, x: Any) -> Any:
        x = (x + ops.concatenate([x[:, self.rate :], x[:, -self.rate :]], axis=1)) / 2
        return (x + ops.concatenate([x[:, :, self.rate :], x[:, :, -self.rate :]], axis=2)) / 2

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate}
