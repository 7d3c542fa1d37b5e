"""Our parameter counts against those of published implementations: every difference is explained in numbers.

reference_params.json has the counts with their origin. Each function below computes, from the layers of our model, how
many more (or fewer) parameters we have for each reason; the sum must be the whole difference.
"""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import keras
import pytest
from architecture_contract import Case, zero_initializers

from bench.config import catalog

CLASSES = 21
MODELS = json.loads((Path(__file__).parent / "reference_params.json").read_text())["models"]
MOBILENET_TOP = 320 * 1280 + 2 * 1280  # its last 1x1 convolution and batch norm, which we leave to the classifier
Reasons = dict[str, int]


def size(model: keras.Model, *prefixes: str) -> int:
    """Count the trainable parameters of the layers whose names begin with a text."""
    chosen = [layer for layer in model.layers if layer.name.startswith(prefixes)]
    return sum(math.prod(w.shape) for layer in chosen for w in layer.trainable_weights)


def biases(model: keras.Model, prefix: str) -> int:
    """Count the biases of convolutions in front of a batch norm; the other implementations have none."""
    chosen = [layer for layer in model.layers if layer.name.startswith(prefix) and getattr(layer, "use_bias", False)]
    return sum(math.prod(layer.bias.shape) for layer in chosen)


def kernels(model: keras.Model, theirs: dict[str, int]) -> int:
    """Count the parameters that our kernels have more because their inputs have other channels than `theirs`."""
    more = 0
    for name, channels in theirs.items():
        kernel = model.get_layer(name).kernel.shape  # (height, width, in, out)
        more += kernel[0] * kernel[1] * (kernel[2] - channels) * kernel[3]
    return more


def unet(model: keras.Model, encoder: str) -> Reasons:
    reasons = {
        "biases of the encoder": biases(model, "backbone_"),
        "biases of the decoder": biases(model, "decoder"),
        "1x1 head, theirs 3x3": -8 * 16 * CLASSES,
    }
    if encoder == "mobilenet_v2":  # theirs: 1280 from the top, then the bottlenecks' ends, where we take expansions
        inputs = (1280 + 96, 256 + 32, 128 + 24, 64 + 16, 32)
        reasons["no top"] = -MOBILENET_TOP
        reasons["other skips"] = kernels(model, {f"decoder{i}_0_conv": n for i, n in enumerate(inputs, start=1)})
    return reasons


def unet_plus_plus(model: keras.Model, encoder: str) -> Reasons:
    reasons = {
        "biases of the encoder": biases(model, "backbone_"),
        "biases of the nodes": biases(model, "x") + biases(model, "final"),
        "1x1 head, theirs 3x3": -8 * 16 * CLASSES,
    }
    if encoder == "mobilenet_v2":  # theirs: the bottlenecks' ends and 1280 from the top, where we take expansions
        reasons["no top"] = -MOBILENET_TOP
        ours, theirs = (96, 144, 192, 576, 320), (16, 24, 32, 96, 1280)
        reasons["other features"] = nested_nodes(ours) - nested_nodes(theirs)
    return reasons


def nested_nodes(features: tuple[int, ...]) -> int:
    """Kernels and batch norms of U-Net++'s nodes on features of these channels, finest first."""
    last, count = (32, 64, 128, 256), 0
    for i, channels in enumerate(features[:-1]):
        below = features[i + 1]
        for j in range(1, 5 - i):
            width = last[i] if i + j == 4 else channels
            below = last[i + 1] if i + j == 4 and j > 1 else below
            count += 9 * (j * channels + below) * width + 9 * width * width + 4 * width
    return count


SMP_MOBILENET = {4: 24, 8: 32, 16: 96, 32: 1280}  # channels of segmentation_models.pytorch's features by stride


def fpn(model: keras.Model, encoder: str) -> Reasons:
    reasons = {"biases of the encoder": biases(model, "backbone_")}
    if encoder == "mobilenet_v2":
        reasons["no top"] = -MOBILENET_TOP
        reasons["other features"] = kernels(model, {f"lateral{stride}": n for stride, n in SMP_MOBILENET.items()})
    return reasons


def upernet(model: keras.Model, encoder: str) -> Reasons:
    channels = {"resnet50": (256, 512, 1024, 2048), "mobilenet_v2": tuple(SMP_MOBILENET.values())}[encoder]
    reasons = {
        "biases of the encoder": biases(model, "backbone_"),
        "no layer norms on the encoder's features": -2 * sum(channels),
    }
    if encoder == "mobilenet_v2":
        theirs = {f"lateral{stride}_conv": n for stride, n in SMP_MOBILENET.items() if stride < 32}
        theirs |= {f"pool{side}_conv": 1280 for side in (1, 2, 3, 6)} | {"pooled_conv": 1280 + 4 * 256}
        reasons["no top"] = -MOBILENET_TOP
        reasons["other features"] = kernels(model, theirs)
    return reasons


def pan(model: keras.Model, encoder: str) -> Reasons:
    decoder = ("pyramid", "features", "image", "decoder")
    convolutions = [x for x in model.layers if x.name.startswith(decoder) and isinstance(x, keras.layers.Conv2D)]
    reasons = {
        "biases of the encoder": biases(model, "backbone_"),
        "no biases in the decoder": -sum(x.filters for x in convolutions),
        "1x1 head, theirs 3x3": -8 * 32 * CLASSES,
    }
    if encoder == "mobilenet_v2":
        theirs = {f"decoder{stride}_fine_conv": n for stride, n in SMP_MOBILENET.items() if stride < 32}
        theirs |= {"features_conv": 1280, "image_conv": 1280, "pyramid7_down_conv": 1280}
        reasons["no top"] = -MOBILENET_TOP
        reasons["other features"] = kernels(model, theirs)
    return reasons


def linknet(model: keras.Model, encoder: str) -> Reasons:
    """Theirs has five blocks with 4x4 transposed convolutions, the last one without features to add."""
    channels = {"resnet50": (2048, 1024, 512, 256, 64, 32), "mobilenet_v2": (1280, 96, 32, 24, 16, 32)}[encoder]
    theirs = 32 * CLASSES + CLASSES
    for before, after in itertools.pairwise(channels):
        quarter = before // 4
        transposed = 16 * quarter * quarter + quarter  # it has a bias
        theirs += before * quarter + transposed + quarter * after + 2 * (2 * quarter + after)  # and batch norms
    reasons = {
        "biases of the encoder": biases(model, "backbone_"),
        "the paper's decoder": size(model, "decoder", "final", "logits") - theirs,
    }
    return {**reasons, "no top": -MOBILENET_TOP} if encoder == "mobilenet_v2" else reasons


def pspnet(model: keras.Model, encoder: str) -> Reasons:
    """Their encoder ends at stride 8 without dilation, but its deeper layers are kept (and counted)."""
    channels = {"resnet50": 512, "mobilenet_v2": 32}[encoder]
    quarter = channels // 4
    pooled = 4 * channels * quarter + quarter + 3 * 2 * quarter  # one branch with a bias, three with batch norm
    return {
        "biases of the encoder": biases(model, "backbone_"),
        "no top": -MOBILENET_TOP if encoder == "mobilenet_v2" else 0,
        "pyramid on the last stage, theirs on that of stride 8": size(model, "pool") - pooled,
        "3x3 fusion, theirs 1x1": size(model, "fuse") - (2 * channels * 512 + 2 * 512),
        "1x1 head, theirs 3x3": -8 * 512 * CLASSES,
    }


def deeplab_v3(model: keras.Model, encoder: str) -> Reasons:
    reasons = {
        "biases of the encoder": biases(model, "backbone_"),
        "no 3x3 convolution behind the pyramid pooling": -(9 * 256 * 256 + 2 * 256),
    }
    if encoder == "mobilenet_v2":
        branches = ("aspp_1x1", "aspp_rate6", "aspp_rate12", "aspp_rate18", "aspp_image")
        reasons["no top"] = -MOBILENET_TOP
        reasons["320 features, theirs 1280"] = kernels(model, {f"{name}_conv": 1280 for name in branches})
    return reasons


def torchvision_deeplab_v3(model: keras.Model, encoder: str) -> Reasons:
    auxiliary = 9 * 1024 * 256 + 2 * 256 + 256 * CLASSES + CLASSES
    return {**deeplab_v3(model, encoder), "no auxiliary head": -auxiliary}


def deeplab(model: keras.Model, encoder: str) -> Reasons:
    """Their model has one separable convolution after pyramid pooling and one after the skip; ours has both there."""
    norms = [layer for layer in model.layers if layer.name.endswith("_depthwise_norm") and "backbone" not in layer.name]
    reasons = {
        "biases of the encoder": biases(model, "backbone_"),
        "batch norm behind each depthwise half": 2 * sum(layer.gamma.shape[0] for layer in norms),
    }
    if encoder == "mobilenet_v2":
        pointwise = ("aspp_1x1", "aspp_image", *(f"aspp_rate{rate}_pointwise" for rate in (6, 12, 18)))
        depthwise = 3 * 9 * (320 - 1280)
        reasons["no top"] = -MOBILENET_TOP
        reasons["320 features, theirs 1280"] = kernels(model, {f"{name}_conv": 1280 for name in pointwise}) + depthwise
        reasons["144 channels at stride 4, theirs 24"] = kernels(model, {"low_level_conv": 24})
    return reasons


def keras_hub_deeplab(model: keras.Model, encoder: str) -> Reasons:
    return {
        "biases of the encoder": biases(model, "backbone_"),
        "two 3x3 convolutions in the decoder, theirs one 1x1": size(model, "decoder") - (304 * 256 + 2 * 256),
        "a bias in the head": CLASSES,
    }


def fcn(model: keras.Model, encoder: str) -> Reasons:
    """torchvision's model has another head: a 3x3 convolution to 512 channels at stride 8, and no skips."""
    theirs = 9 * 2048 * 512 + 2 * 512 + 512 * CLASSES + CLASSES
    return {"biases of the encoder": biases(model, "backbone_"), "head": size(model, "score") - theirs}


def fcn_vgg16(model: keras.Model, encoder: str) -> Reasons:
    """The classifier whose fc6 and fc7 became convolutions."""
    return {"scores of 21 classes, theirs of 1000": size(model, "score") - (4096 * 1000 + 1000)}


DINOV3_BIASES = 12 * 2 * 384  # of queries and values: zero in DINOv3's weights, and left out in timm


def linear(model: keras.Model, encoder: str) -> Reasons:
    """Theirs is the transformer alone."""
    reasons = {"head": size(model, "norm", "logits")}
    return {**reasons, "biases of queries and values": DINOV3_BIASES} if encoder == "dinov3_small" else reasons


def dpt(model: keras.Model, encoder: str) -> Reasons:
    """Their deepest fusion has a second residual unit, which its features don't pass."""
    return {
        "biases of queries and values": DINOV3_BIASES,
        "one residual unit in the deepest fusion": -size(model, "fusion3_unit"),
    }


def outside_head(model: keras.Model, encoder: str) -> Reasons:
    return {"a bias in the head": CLASSES}


REASONS: dict[tuple[str, str], Callable[[keras.Model, str], Reasons]] = {
    ("unet", "segmentation_models_pytorch"): unet,
    ("unet_plus_plus", "segmentation_models_pytorch"): unet_plus_plus,
    ("fpn", "segmentation_models_pytorch"): fpn,
    ("linknet", "segmentation_models_pytorch"): linknet,
    ("upernet", "segmentation_models_pytorch"): upernet,
    ("pspnet", "segmentation_models_pytorch"): pspnet,
    ("deeplab_v3", "segmentation_models_pytorch"): deeplab_v3,
    ("deeplab_v3", "torchvision"): deeplab_v3,
    ("deeplab", "segmentation_models_pytorch"): deeplab,
    ("deeplab", "keras-hub"): keras_hub_deeplab,
    ("fcn32", "torchvision"): fcn,
    ("pan", "segmentation_models_pytorch"): pan,
    ("segformer", "segmentation_models_pytorch"): lambda model, encoder: {},
    ("dpt", "segmentation_models_pytorch"): dpt,
    ("linear", "timm"): linear,
    ("lraspp", "torchvision"): lambda model, encoder: {},
    ("kerashub_segformer", "segmentation_models_pytorch"): lambda model, encoder: {},
    ("kerashub_deeplab_v3", "keras-hub"): outside_head,
}


def reasons(entry: dict, model: keras.Model) -> Reasons:
    arch, _, encoder = entry["ours"].partition(":")
    if "aux_loss=True" in entry["call"]:
        return torchvision_deeplab_v3(model, encoder)
    if encoder == "vgg16":
        return fcn_vgg16(model, encoder)
    return REASONS[arch, entry["origin"].split()[0]](model, encoder)


def _case(entry: dict) -> object:
    """The small encoders in every run, the large ones in the full matrix."""
    quick = entry["ours"].endswith((":mobilenet_v2", ":mobilenet_v3_large", ":mit_b0", "segformer"))
    name = f"{entry['ours']}-{entry['origin'].split()[0]}{'-auxiliary' if 'aux_loss=True' in entry['call'] else ''}"
    return pytest.param(entry, id=name, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize("entry", [_case(model) for model in MODELS])
def test_every_parameter_more_or_less_has_its_reason(entry):
    arch, _, encoder = entry["ours"].partition(":")
    spec = catalog.architectures().get(arch)
    if lack := Case(spec, encoder or None).lacks(keras.backend.backend()):
        pytest.skip(lack)
    build, side = catalog.load_builder(spec), 96 if encoder != "dinov2_small" else 98  # a multiple of its patch
    with zero_initializers():
        model = build((side, side, 3), CLASSES, backbone=encoder or None, **entry["params"])
    ours = sum(math.prod(w.shape) for w in model.trainable_weights)
    assert ours - entry["trainable"] == sum(reasons(entry, model).values()), reasons(entry, model)
