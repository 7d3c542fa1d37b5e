"""The contract of every architecture in the registry: a new family brings its tests with its spec.

In `make test` every architecture builds and predicts where it is tiny, and one of our own a file is trained. Agreement
of the backends, compiled steps, real backbones and the training of outside models are slow.
"""

import functools
import importlib.util
import inspect
import json
import os
import subprocess
import sys

import architecture_contract as contract
import keras
import make_specs
import numpy as np
import pytest
from architecture_contract import NUM_CLASSES, Case

from bench.architectures import BACKBONES, SPECS_FILE, VISION_TRANSFORMERS, read_specs
from bench.architectures.pooling import LinearResize
from bench.architectures.sizes import check_image_size
from bench.config import catalog
from bench.core.backends import BACKENDS
from bench.core.code.import_by_name import import_by_name
from bench.core.errors import BenchError
from bench.core.specs import PRECISIONS

pytestmark = [
    # Keras 3.15's variables and torch's tensors have no copy keyword in __array__ yet
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]

CASES = contract.cases()
SMALL = contract.small_cases()
FAMILIES = contract.family_cases()
BILINEAR = [contract.bilinear_unet()]  # resizes between trained layers; so does deeplab
# Their pyramid pooling resizes in a way that XLA can't train in half precision: architectures/outside.py.
NOT_COMPILED_MIXED = ("kerascv_deeplab_v3_plus", "kerashub_deeplab_v3")
# Their layers write configurations that they can't read (keras-cv 0.9, keras-hub 0.32): weights alone can be kept.
UNREADABLE = ("kerascv_segformer", "kerashub_segformer", "kerashub_deeplab_v3")
GOLDEN = json.loads(make_specs.GOLDEN_FILE.read_text())

every_spec = pytest.mark.parametrize("spec", read_specs(), ids=lambda spec: spec.name)
WIDER = (
    "If the architecture is sound, give its decorator a wider tiny={...} (CONTRIBUTING.md), then `make specs ARCH=...`."
)


def _here() -> str:
    return keras.backend.backend()


def _cases(quick: list[Case]) -> pytest.MarkDecorator:
    """Every case; those that are not `quick` are slow."""
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=case.name, marks=_marks(case, case in quick)) for case in [*SMALL, *CASES]]
    )


def _marks(case: Case, quick: bool) -> list[pytest.MarkDecorator]:
    lack = case.lacks(_here())
    return [pytest.mark.skipif(bool(lack), reason=lack), *([] if quick else [pytest.mark.slow])]


every_case = _cases(quick=SMALL)
every_light_case = _cases(
    quick=[case for case in SMALL if case.spec.package != "keras_cv"]
)  # keras-hub's stand for both
every_own_case = _cases(quick=[case for case in SMALL if not case.spec.package])
every_family = _cases(quick=FAMILIES)


@pytest.fixture(autouse=True)
def forget_models(request):
    """Forget a big model behind its test: it is cyclic garbage, and hundreds would fill the memory. Tiny ones stay."""
    yield
    case = getattr(request.node, "callspec", None) and request.node.callspec.params.get("case")
    if case and not case.small:
        keras.backend.clear_session()


@pytest.fixture
def precision(request):
    """Sets Keras's policy for one test."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


# === Specs ===


def test_specs_need_no_keras():
    code = "import sys, bench.architectures, bench.architectures.sizes; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_written_specs_are_those_of_the_builders():
    assert SPECS_FILE.read_text() == make_specs.specs_text(), "specs.json is stale: run `make specs`"


@every_spec
def test_every_parameter_is_keyword_only_and_has_its_help(spec):
    signature = inspect.signature(import_by_name(spec.build)).parameters
    assert all(signature[param.name].kind is inspect.Parameter.KEYWORD_ONLY for param in spec.params)
    assert all(param.help for param in spec.params)


@every_spec
def test_the_choices_of_a_parameter_are_in_its_errors(spec):
    for param in spec.params:
        if param.choices:
            assert param.default in param.choices
            with pytest.raises(BenchError, match=f"{param.name}.*{param.choices[0]}"):
                import_by_name(spec.build)((64, 64, 3), 2, **{param.name: 0})


@every_spec
def test_backbones_of_a_spec_are_registered(spec):
    assert set(spec.backbones) <= {backbone.name for backbone in (*BACKBONES, *VISION_TRANSFORMERS)}
    assert not spec.needs_backbone or spec.default_backbone in spec.backbones


@every_spec
def test_an_illegal_size_names_the_next_that_fits(spec):
    divisor = spec.divisor(spec.default_backbone)
    least = -(-spec.smallest_side // divisor) * divisor
    check_image_size(spec, (3 * divisor, 3 * divisor if spec.square else divisor))
    width = least + divisor if spec.square else least
    with pytest.raises(BenchError, match=f"{least + 1}x{least}.* fits is {least + divisor}x{width}"):
        check_image_size(spec, (least + 1, least))
    with pytest.raises(BenchError, match=f" fits is {least}x{least}"):
        check_image_size(spec, (0, least))


def test_the_divisor_follows_backbone_and_parameters():
    unet, deeplab = map(catalog.architectures().get, ("unet", "deeplab"))
    assert unet.divisor() == 16  # four halvings
    assert unet.divisor(params={"depth": 6}) == 64
    assert unet.divisor(params={"filters": [8, 16]}) == 2
    assert unet.divisor("resnet50") == 32
    assert deeplab.divisor("resnet50") == 16
    assert deeplab.divisor("resnet50", {"output_stride": 8}) == 8


@pytest.mark.parametrize(
    ("backbone", "params", "message"),
    [
        ("resnet50", {"filters": [8, 16]}, "with a backbone has no parameter 'filters'"),
        (None, {"decoder_filters": [8]}, "without a backbone has no parameter 'decoder_filters'"),
        (None, {"depth": 0}, "depth of 1 or more"),
        (None, {"filters": [8, -16]}, "whole numbers above 0"),
    ],
)
def test_parameters_that_do_not_go_together_are_said_without_building(backbone, params, message):
    with pytest.raises(BenchError, match=message):
        check_image_size(catalog.architectures().get("unet"), (64, 64), backbone, params)


# === Models ===


@every_light_case
@pytest.mark.parametrize("precision", PRECISIONS, indirect=True)
def test_logits_have_the_shape_of_the_image_and_are_float32(case, precision):
    if precision not in case.spec.precisions:
        pytest.skip(f"{case.name} does not support {precision}")
    size = case.divisor
    sizes = [(size, size), (3 * size, 5 * size)] if precision == "float32" else [(size, 3 * size)]
    if case.spec.square:
        sizes = [(case.smallest, case.smallest), (3 * size, 3 * size)][: len(sizes)]
    for height, width in sizes:
        model = case.build(height, width)
        logits = model(contract.images(2, height, width))
        assert tuple(logits.shape) == (2, height, width, NUM_CLASSES)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        assert np.isfinite(keras.ops.convert_to_numpy(logits)).all()
    assert {w.dtype for w in model.trainable_weights} == {"float32"}


@every_case
def test_parameter_counts(case):
    assert make_specs.parameter_counts(case) == GOLDEN.get(case.name), "if it is meant: make specs ARCH=<its name>"


@every_family
def test_every_trainable_weight_gets_a_gradient(case):
    size = 2 * max(case.divisor, 16)
    keras.utils.set_random_seed(0)
    model = case.build_without_dropout(size, size)
    for layer in model.layers:
        if type(layer).__name__ == "LayerScale":  # ConvNeXt's: from 1e-6, gradients behind it vanish beside the weights
            layer.gamma.assign(np.ones(layer.gamma.shape))
    model.compile(keras.optimizers.SGD(1.0), _loss(), run_eagerly=True)
    for _ in range(2 if contract.zero_kernels(model) else 1):  # FCN's scores keep the first step to themselves
        before = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
        model.train_on_batch(contract.images(4, size, size), contract.blocks(4, size, size))
    gradients = {
        w.path: np.abs(keras.ops.convert_to_numpy(w) - b).max()
        for w, b in zip(model.trainable_weights, before, strict=True)
    }
    exempt = _shifts_before_a_norm(model) | _keys_biases(model) | _last_stage_shifts(model)
    # On the tensor's own scale, where SGD's step is known to float32's resolution; zeros have only the model's scale.
    resolution = 4 * np.finfo(np.float32).eps
    smallest = {w.path: resolution * np.abs(b).max() for w, b in zip(model.trainable_weights, before, strict=True)}
    typical = np.median(list(gradients.values()))
    dead = {
        path: (g, smallest[path])
        for path, g in gradients.items()
        if path not in exempt and not max(smallest[path], 1e-6 * typical) < g < np.inf
    }
    assert not dead, f"weights without a gradient: {dead}. {WIDER}"


@every_family
def test_loss_on_two_images_halves_within_30_steps(case):
    size = 2 * max(case.divisor, 16)
    keras.utils.set_random_seed(0)
    model = case.build_without_dropout(size, size)
    normalised = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers())
    rate = 3e-3 if normalised else 3e-4  # FCN's loss jumps on VGG-16 from random weights
    model.compile(keras.optimizers.Adam(rate), _loss(), jit_compile=False)
    side = size // 2  # FCN-32 scores blocks of 32 pixels, and can't tell smaller ones apart
    batch = contract.images(2, size, size, side=side), contract.blocks(2, size, size, side=side)
    losses = [float(model.train_on_batch(*batch)) for _ in range(30)]
    assert min(losses[1:]) < losses[0] / 2, f"from {losses[0]:.3f} to {min(losses[1:]):.3f}. {WIDER}"


@every_own_case
def test_a_tensor_at_full_resolution_has_at_most_twice_the_channels_of_the_first_stage(case):
    """Memory at full resolution: what is enlarged from the second stage has twice the channels of the first."""
    size = 2 * case.divisor
    with contract.zero_initializers():
        model = case.build(size, size)
    first = next(layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Conv2D))
    most = max(NUM_CLASSES, 2 * first.filters)
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Concatenate):  # the skips and what came up
            for output in keras.tree.flatten(layer.output):
                assert tuple(output.shape[1:3]) != (size, size) or output.shape[-1] <= most, layer.name


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_a_tiny_model_is_tiny(case):
    assert GOLDEN[case.name][0] <= 1_100_000, f"give the decorator of {case.spec.name} tiny={{...}}"


@every_own_case
def test_a_saved_model_gives_equal_logits(case, tmp_path):
    size = 2 * case.divisor
    model = case.build(size, size)
    batch = contract.images(2, size, size)
    contract.make_statistics_real(model, batch)
    if case.spec.name in UNREADABLE:
        model.save_weights(tmp_path / "model.weights.h5")
        loaded = case.build(size, size)
        loaded.load_weights(tmp_path / "model.weights.h5")
    else:
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(_logits(loaded, batch), _logits(model, batch))


@every_family
def test_the_seed_decides_the_logits(case):
    size = 2 * case.divisor
    batch = contract.images(1, size, size)

    def built(seed):
        keras.utils.set_random_seed(seed)
        model = case.build(size, size)
        if contract.zero_kernels(model):
            contract.make_statistics_real(model, batch)
        return _logits(model, batch)

    first = built(0)
    np.testing.assert_array_equal(built(0), first)
    assert np.abs(built(1) - first).max() > 0


# === Backends ===


def _parity(
    tmp_path_factory, backend: str, cases: list[Case], compiled: list[Case], precision: str = "float32"
) -> dict[str, dict]:
    """Name -> arrays from `backend`, for the weights of this process; "<name> here" -> those of this process."""
    folder = tmp_path_factory.mktemp("parity")
    found = {}
    for case in cases:
        keras.utils.set_random_seed(0)
        model = contract.parity_model(case)
        contract.make_statistics_real(model, contract.parity_batch(model)[0])
        model.save_weights(folder / f"{contract.file_stem(case.name)}.weights.h5")
        logits, loss = contract.logits_and_loss(model, *contract.parity_batch(model))
        found[f"{case.name} here"] = {"logits": logits, "loss": loss}
    names = [c.name for c in cases] + [f"compile={c.name}" for c in compiled]
    command = [sys.executable, contract.__file__, str(folder), precision, *names]
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        pytest.fail(f"{backend}: {done.stderr[-4000:]}")
    for name in names:
        with np.load(folder / f"{backend}-{contract.file_stem(name)}.npz") as arrays:
            found[name] = dict(arrays)
    return found


def _check_parity(found: dict[str, dict], cases: list[Case]) -> None:
    for case in cases:
        here, there = found[f"{case.name} here"], found[case.name]
        scale = np.abs(here["logits"]).max()
        assert scale > 1e-2, f"{case.name}: the logits are too small to compare"
        assert here["logits"].std() > 1e-3 * scale, f"{case.name}: the logits don't depend on the image"
        assert np.abs(there["logits"] - here["logits"]).max() / scale < 1e-4, case.name
        # Many layers, each normalised by the batch: up to 2e-5 between TensorFlow and PyTorch.
        is_deep = case.backbone == "resnet101" or case.name == "kerashub_deeplab_v3"
        limit = 1e-4 if is_deep else 1e-5
        assert abs(there["loss"] - here["loss"]) < limit * here["loss"], case.name


def _skip_unless_other(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == _here():
        pytest.skip(f"{backend} is the backend of this process, which the others are compared with")


@pytest.fixture(scope="module")
def parity_of(tmp_path_factory):
    """Ask once what one process of a backend finds for all cases that were chosen; on JAX their compiled steps too."""

    @functools.cache
    def ask(backend: str, names: tuple[str, ...]) -> dict[str, dict]:
        cases = [contract.case(name) for name in names]
        compiled = [c for c in cases if c in FAMILIES and c.spec.compiles and backend == "jax"]
        return _parity(tmp_path_factory, backend, cases, compiled)

    return ask


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", [*SMALL, *CASES], ids=lambda c: c.name)
def test_backends_agree_for_the_same_weights(case, backend, parity_of, request):
    _skip_unless_other(backend)
    chosen = {item.callspec.params["case"].name for item in request.session.items if _is_of(item, request)}
    every = [*SMALL, *CASES]
    names = [c.name for c in every if c.name in chosen and not c.lacks(backend) and not c.lacks(_here())]
    if case.name not in names:
        pytest.skip(f"{case.name} does not run on both backends")
    found = parity_of(backend, tuple(names))
    _check_parity(found, [case])
    if compiled := found.get(f"compile={case.name}"):
        assert compiled["losses"][1] < compiled["losses"][0]


def _is_of(item: pytest.Item, request: pytest.FixtureRequest) -> bool:
    """Return whether an item is another case of the requesting test."""
    return item.originalname == request.node.originalname and item.path == request.node.path


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("case", [*SMALL, *CASES], ids=lambda c: c.name)
def test_a_training_step_compiles(case, backend, tmp_path_factory):
    _compile(tmp_path_factory, case, backend, "float32")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("case", [*SMALL, *BILINEAR], ids=lambda c: c.name)
def test_a_training_step_compiles_under_mixed_precision(case, precision, tmp_path_factory):
    if case.spec.name in NOT_COMPILED_MIXED:
        pytest.skip(f"{case.name} is not compiled under {precision}")
    _compile(tmp_path_factory, case, "tensorflow", precision)


def _compile(tmp_path_factory, case: Case, backend: str, precision: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if case.lacks(backend):
        pytest.skip(case.lacks(backend))
    if not case.spec.compiles:
        pytest.skip(f"{case.name} does not compile on {backend}")
    found = _parity(tmp_path_factory, backend, [], [case], precision)
    assert np.isfinite(found[f"compile={case.name}"]["losses"]).all()


# === Helpers ===


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _logits(model: keras.Model, batch: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(batch, training=False))


def _shifts_before_a_norm(model: keras.Model) -> set[str]:
    """Paths of biases and batch norm shifts that a batch norm behind them takes out again: their gradient is zero.

    Such is a bias in front of a batch norm, and the shift of a linear bottleneck (MobileNetV2, EfficientNetV2), which
    reaches the next batch norm through additions, means and 1x1 convolutions alone; so do those of SegFormer's linear
    layers, resized and joined.
    """
    consumers: dict[int, list[keras.Layer]] = {}
    for layer in model.layers:
        for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
            consumers.setdefault(id(tensor), []).append(layer)

    def is_taken_out(tensor) -> bool:
        return all(
            _takes_shifts_out(layer) or (_passes_shifts_on(layer) and is_taken_out(layer.output))
            for layer in consumers.get(id(tensor), [None])
        )

    shifts = [(layer, getattr(layer, name, None)) for layer in model.layers for name in ("bias", "beta")]
    return {shift.path for layer, shift in shifts if shift is not None and is_taken_out(layer.output)}


def _keys_biases(model: keras.Model) -> set[str]:
    """Paths of the biases of an attention's keys.

    They add the same to all scores of a query, and the softmax takes it out: their gradient is zero.
    """
    inner = [*model._flatten_layers()]
    keys = [layer.k for layer in inner if type(layer).__name__ == "SegFormerMultiheadAttention"]
    keys += [layer._key_dense for layer in inner if isinstance(layer, keras.layers.MultiHeadAttention)]
    return {key.bias.path for key in keys}


def _last_stage_shifts(model: keras.Model) -> set[str]:
    """Paths of the shift of the norm that ends a SegFormer's last stage.

    The head alone takes it, whose linear layer, resize and 1x1 convolution bring it to a batch norm: zero gradient.
    """
    encoders = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    norms = [
        [layer for layer in encoder.layers if isinstance(layer, keras.layers.LayerNormalization)]
        for encoder in encoders
        if any(type(layer).__name__ == "HierarchicalTransformerEncoder" for layer in encoder.layers)
    ]
    return {some[-1].beta.path for some in norms}


def _takes_shifts_out(layer: keras.Layer) -> bool:
    """Return whether a layer is a batch norm, or a sequence whose first batch norm is reached by shifts."""
    if isinstance(layer, keras.Sequential):
        norms = [isinstance(inner, keras.layers.BatchNormalization) for inner in layer.layers]
        return any(norms) and all(map(_passes_shifts_on, layer.layers[: norms.index(True)]))
    return isinstance(layer, keras.layers.BatchNormalization)


_PASSING = (
    *(keras.layers.Add, keras.layers.Concatenate, keras.layers.GlobalAveragePooling2D),
    *(keras.layers.Dropout, keras.layers.Resizing, keras.layers.UpSampling2D, LinearResize),
    *(keras.layers.Cropping1D, keras.layers.Reshape),  # from tokens to a map
)


def _passes_shifts_on(layer: keras.Layer) -> bool:
    """Return whether a layer turns a shift of every pixel into a shift.

    A dilated convolution that is wider than its map acts like a 1x1 convolution.

    EfficientNet's dropout takes whole branches away, mostly those of no image.
    """
    if type(layer) not in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D):
        return isinstance(layer, _PASSING)
    sides = zip(layer.kernel_size, layer.dilation_rate, layer.input.shape[1:3], strict=True)
    return all(kernel == 1 or dilation >= side for kernel, dilation, side in sides)
