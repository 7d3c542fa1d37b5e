"""The table of options: a trial's configuration, each field with all that is to be known of it (see `Option`)."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bench.core.backends import BACKENDS, DEFAULT_BACKEND
from bench.core.option_kinds import (
    BUDGET,
    CLASS_WEIGHTS,
    FLAG,
    LAYER,
    NUMBER,
    PARAMETERS,
    PATH,
    SECONDS,
    SIZE,
    SIZE_OR_NONE,
    WHOLE,
)
from bench.core.options import BACKEND, DATA, MODEL, REPETITION, TRAINING, Option, option, table
from bench.core.specs import (
    AUGMENTS,
    CLASS_WEIGHT_RULES,
    LOSS_TERMS,
    PRECISIONS,
    RESIZES,
    SCHEDULES,
    Budget,
)

LARGEST_SIDE = 4096  # pixels; a slip of the finger beyond: a pack holds whole data sets at this size


def _fits(size: tuple[int, int]) -> bool:
    return all(1 <= side <= LARGEST_SIDE for side in size)


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


def _is_positive(value: float) -> bool:
    return 0 < value < math.inf


@dataclass(frozen=True)
class TrialConfig:
    """One architecture on one data set with one seed, backend, precision and budget.

    The defaults are the protocol's: the key is made of the fields that differ from them.
    """

    arch: str = option(
        panel=MODEL,
        help="Architectures, such as unet,deeplab or unet:resnet50 (with backbone); all: every one that can be run.",
        default_text="-",
        of_speed=True,
        step_time=True,
        meaning="the architecture",
    )
    dataset: str = option(
        panel=DATA,
        help="Data sets, such as shapes,pets, or folder:PATH.",
        default_text="-",
        step_time=True,
        meaning="the data set",
    )
    backbone: str | None = option(
        None,
        panel=MODEL,
        help="Backbones.",
        default_text="the architecture's",
        of_speed=True,
        step_time=True,
        meaning="the pretrained feature network that the architecture stands on; empty: none",
    )
    params: Mapping[str, Any] = option(
        factory=dict,
        kind=PARAMETERS,
        panel=MODEL,
        name="param",
        help="A builder's parameter: key=v1,v2 or 'filters=[8,16],[16,32]'. Repeatable.",
        default_text="-",
        by_content=True,
        of_speed=True,
        step_time=True,
        column="builder_params",
        meaning="parameters given to the architecture's builder, as JSON",
    )
    dataset_params: Mapping[str, Any] = option(
        factory=dict,
        kind=PARAMETERS,
        panel=DATA,
        name="dataset_param",
        help="A data set's parameter, such as balance_ships=200 of airbus. Repeatable.",
        default_text="-",
        by_content=True,
        meaning='what of the data set was taken, as JSON, such as `{"balance_ships": 200}` of `airbus`; empty: all. In '
        "the key by the data's fingerprint",
    )
    weights: str = option(
        "none",
        panel=TRAINING,
        help="What the backbone starts from: none, imagenet or a file's path.",
        by_content=True,
        meaning="what the backbone started from: `none` (random), `imagenet`, or a file. In the key by its content",
    )
    init_from: str | None = option(
        None,
        kind=PATH,
        panel=TRAINING,
        help="Start from the saved weights of a finished run: its id, or its folder's path.",
        accepted="a finished trial: its id, or the path of its folder",
        default_text="-",
        axis=False,
        by_content=True,
        meaning="the finished trial whose weights this one started from (in the record the path of its folder); in "
        "the key by the content of the weights. Where the classes are others, the head started anew",
    )
    initial_weights: str = option(
        "own",
        panel=TRAINING,
        choices=("own", "shared"),
        help="own: random weights as the backend draws them, or shared: the same weights on every backend.",
        meaning="`own`: the seed's weights as the backend draws them; `shared`: drawn by NumPy from the same "
        "distributions, equal on every backend. The order of batches and the augmentation are equal on every backend "
        "anyway; dropout is each backend's own",
    )
    image_size: tuple[int, int] = option(
        (128, 128),
        kind=SIZE,
        panel=DATA,
        help="Pixels: 128, or height x width as 128x192.",
        accepts=_fits,
        accepted=f"pixels, such as 128, or height x width, such as 128x192; each side from 1 to {LARGEST_SIDE} pixels",
        of_speed=True,
        step_time=True,
        unit="pixels",
        meaning="height x width of the images, such as `128x128`",
    )
    resize: str = option(
        "stretch",
        panel=DATA,
        choices=RESIZES,
        help="How images of another shape fit",
        meaning="what became of another aspect ratio: `stretch` (height and width scaled apart), `letterbox` (scaled "
        "whole, padded; the padding is not counted), `crop` (scaled to cover, the centre cut out)",
    )
    crop: tuple[int, int] | None = option(
        None,
        kind=SIZE_OR_NONE,
        panel=DATA,
        help="Train on random parts of the images: none, pixels, or height x width.",
        step_time=True,
        unit="pixels",
        meaning="height x width of the parts of the images that were trained on, and that the model takes; empty: "
        "whole images. An epoch has one part of each image; whole images are evaluated all the same, by overlapping "
        "parts",
    )
    crop_foreground: float = option(
        0.5,
        kind=NUMBER,
        panel=DATA,
        help="Chance that a crop is centred on the foreground.",
        accepts=_is_share,
        accepted="a chance from 0 to 1, such as 0.5",
        needs="crop",
        unit="share",
        meaning="chance that such a part was centred on a pixel that is neither class 0 nor ignored; other parts lie "
        "anywhere",
    )
    batch_size: int = option(
        16,
        kind=WHOLE,
        panel=TRAINING,
        help="Images of a training step.",
        accepts=lambda value: value >= 1,
        accepted="a whole number of 1 or more",
        of_speed=True,
        step_time=True,
        unit="images",
        meaning="of a training step",
    )
    optimizer: str = option(
        "adam",
        panel=TRAINING,
        choices=("adam", "adamw", "sgd"),
        help="What updates the weights: adam, adamw, or sgd (momentum 0.9, Nesterov).",
        of_speed=True,
        step_time=True,
        meaning="what updated the weights: `adam`, `adamw` (the same update; the usual name of Adam with weight "
        "decay) or `sgd` (with Nesterov's momentum of 0.9)",
    )
    lr: float = option(
        1e-3,
        kind=NUMBER,
        panel=TRAINING,
        help="The learning rate at the start of the schedule.",
        accepts=_is_positive,
        accepted="a number above 0, such as 0.001",
        meaning="the learning rate at the start of the schedule",
    )
    weight_decay: float = option(
        0.0,
        kind=NUMBER,
        panel=TRAINING,
        help="Decoupled weight decay, such as 0.01, of all weights but biases and those of norms.",
        accepts=lambda value: 0 <= value < math.inf,
        accepted="a number of 0 or more, such as 0.01",
        of_speed=True,
        step_time=True,
        meaning="decoupled weight decay (Loshchilov and Hutter 2019) with each optimizer: before a step each weight "
        "is multiplied by 1 - learning rate of the step x weight decay. Vectors are exempt: biases, and scales and "
        "shifts of norms. So `adam` with weight decay is `adamw`, and the schedule scales the decay",
    )
    schedule: str = option(
        "linear",
        panel=TRAINING,
        choices=SCHEDULES,
        help="How the learning rate falls",
        meaning="how the learning rate falls with the share of the budget that is used: `linear`, `cosine`, "
        "`constant`, `steps`",
    )
    loss: str = option(
        "ce",
        panel=TRAINING,
        help=f"{', '.join(LOSS_TERMS)} or a sum, such as 0.5*ce+dice.",
        of_speed=True,
        step_time=True,
        meaning="`ce` (cross-entropy), `bce` (with two classes the same; with more, a sigmoid for each class), "
        "`dice`, `focal` (gamma 2), `tversky` (0.3 for false positives, 0.7 for false negatives), `lovasz` "
        "(Lovász-softmax), or a weighted sum such as `0.5*ce+dice`",
    )
    label_smoothing: float = option(
        0.0,
        kind=NUMBER,
        panel=TRAINING,
        help="Share of a pixel's label that cross-entropy spreads over all classes, such as 0.1.",
        accepts=lambda value: 0 <= value < 1,
        accepted="a number from 0 to below 1, such as 0.1",
        meaning="share of a pixel's label that is spread evenly over all classes (Szegedy 2016) in the loss's `ce`, "
        "and over class and rest in its `bce`; other terms take the label as it is, and ignored pixels stay ignored",
    )
    class_weights: str = option(
        "none",
        kind=CLASS_WEIGHTS,
        panel=TRAINING,
        help=f"In the loss: {', '.join(CLASS_WEIGHT_RULES)}, or a weight for each class, such as [0.3,0.7].",
        accepted=f"{', '.join(CLASS_WEIGHT_RULES)}, or a weight for each class: [0.3,0.7], in a TOML file [[0.3, 0.7]]",
        meaning="of the loss: `none`; `balanced` (all classes together weigh the same, 1 on average over pixels); "
        "`median-frequency` (Eigen and Fergus 2015); or one for each class, `[0.3,0.7]`. They multiply each pixel's "
        "loss in `ce`, `bce` and `focal`, and weigh the mean over classes in the others. Pixels are counted in the "
        "chosen training images, whole, at the image size. The record holds the resolved ones (`training`, by class)",
    )
    augment: str = option(
        "standard",
        panel=TRAINING,
        choices=AUGMENTS,
        help="How training images are varied, as a part of the training step",
        of_speed=True,
        step_time=True,
        meaning="`none`; `light`: flips, brightness by 0.1; `standard`: flips, rotation up to 8 degrees, brightness "
        "and contrast by 0.2; `strong`: flips, rotation up to 20 degrees, zoom up to 1.25 in or out, shifts up to a "
        "tenth of the side, brightness and contrast by 0.3, saturation by 0.5",
    )
    budget: Budget = option(  # noqa: RUF009 - makes a field
        Budget(600.0, "seconds"),
        kind=BUDGET,
        panel=TRAINING,
        help="How much training: 10m, 90s, 2000steps, 20epochs or 100ksamples.",
        meaning="how much training: seconds or minutes (of training alone), steps, epochs or samples (images)",
    )
    eval_size: str = option(
        "train",
        panel=TRAINING,
        choices=("train", "native"),
        help="What predictions are compared at: train (the image size), or native (each image's own size, at which "
        "trials of different image sizes stand in one ranking).",
        meaning="what predictions were compared at: `train` (`image_size`), or `native`: logits scaled back to each "
        "image's own size, against the labels as they are in the files",
    )
    select: str = option(
        "last",
        panel=TRAINING,
        choices=("last", "best"),
        help="The weights that are tested: last, or best on validation.",
        meaning="which weights were tested: the `last`, or the `best` on the validation split",
    )
    freeze_encoder: float = option(
        0.0,
        kind=NUMBER,
        panel=TRAINING,
        help="Share of the budget, from its start, in which the backbone is frozen.",
        accepts=_is_share,
        accepted="a share of the budget from 0 to 1, such as 0.5",
        step_time=True,
        unit="share",
        meaning="of the budget, from its start, in which the backbone was frozen: its weights and its batch norm "
        "statistics stay, batch norm in inference mode",
    )
    fine_tune_lr_factor: float = option(
        0.1,
        kind=NUMBER,
        panel=TRAINING,
        help="The learning rate is multiplied by this when the backbone is unfrozen.",
        accepts=_is_positive,
        accepted="a number above 0, such as 0.1",
        needs="freeze_encoder",
        meaning="the learning rate was multiplied by it when the backbone was unfrozen",
    )
    unfreeze_from: str | None = option(
        None,
        kind=LAYER,
        panel=TRAINING,
        help="The backbone's first layer (name or index) that is unfrozen.",
        default_text="all of it",
        needs="freeze_encoder",
        step_time=True,
        meaning="the backbone's first layer (name or index) that was unfrozen; empty: all of it",
    )
    train_fraction: float = option(
        1.0,
        kind=NUMBER,
        panel=DATA,
        help="Share of the training images that is used.",
        accepts=lambda value: 0 < value <= 1,
        accepted="a number above 0, up to 1",
        step_time=True,
        unit="share",
        meaning="of the training split that was used",
    )
    seed: int = option(
        0,
        kind=WHOLE,
        panel=REPETITION,
        help="These seeds, such as 0 or 3,4,5.",
        accepts=lambda value: 0 <= value < 2**31,
        accepted="whole numbers from 0 to 2147483647, such as 0,1,2",
        of_speed=True,
        meaning="of weights, order and augmentation",
    )
    backend: str = option(
        DEFAULT_BACKEND,
        panel=BACKEND,
        choices=BACKENDS,
        help="Keras's backend",
        of_speed=True,
        step_time=True,
        meaning="Keras's backend",
    )
    precision: str = option(
        "float32",
        panel=BACKEND,
        choices=PRECISIONS,
        help="Keras's dtype policy",
        of_speed=True,
        step_time=True,
        meaning="Keras's dtype policy",
    )
    jit: str = option(
        "auto",
        panel=BACKEND,
        choices=("auto", "on", "off"),
        help="Whether steps are compiled: auto (XLA on JAX, and on TensorFlow with a GPU; PyTorch runs eagerly), on "
        "(XLA, torch.compile) or off (on JAX operation by operation, which is very slow).",
        of_speed=True,
        step_time=True,
        meaning="whether steps were to be compiled. `auto`: by XLA on JAX, and on TensorFlow where there is a GPU and "
        "every layer allows it; else as TensorFlow's graphs, on PyTorch eagerly. `on`: by XLA; on PyTorch loss, "
        "gradient and prediction by torch.compile, the optimizer's update eagerly. `off`: as graphs, eagerly, and on "
        "JAX operation by operation. What came of it is `jit_compile`",
    )
    repeat: int = option(
        0,
        kind=WHOLE,
        panel=REPETITION,
        help="Run the same configuration N times.",
        accepts=lambda value: value >= 0,
        accepted="how many times, 1 or more, such as 2",
        default_text="1",
        of_speed=True,
        meaning="number of the repeat of the same configuration, from 0",
    )
    measure: str = option(
        "all",
        choices=("all", "speed"),
        help="What is measured",
        internal=True,
        axis=False,
        of_speed=True,
        meaning="`all`: trained and measured; `speed`: measured only, by `bench speed`, on random pixels. Such a "
        "trial has the data set `none`, no metrics, no history and no images; options that it has no use for stand at "
        "their defaults",
    )
    plugin: str | None = option(
        None,
        kind=PATH,
        help="A Python file with your architectures or data sets.",
        accepted="the path of a Python file",
        default_text="-",
        axis=False,
        by_content=True,
        of_speed=True,
        meaning="file that defines the architecture or the data set",
    )
    data_dir: str | None = option(
        None,
        kind=PATH,
        panel=DATA,
        help="The data set's folder.",
        accepted="a folder's path",
        default_text="it is downloaded",
        axis=False,
        in_key=False,
        meaning="where the data lay",
    )
    skip_corrupt: bool = option(
        False,
        kind=FLAG,
        panel=DATA,
        help="Leave out images that can't be read.",
        default_text="-",
        axis=False,
        in_key=False,
        meaning="whether unreadable files were left out; the data's fingerprint says what was",
    )
    timeout: float | None = option(
        None,
        kind=SECONDS,
        help="Stop a trial after this wall time, such as 2h.",
        accepts=lambda value: value is None or value > 0,
        default_text="-",
        axis=False,
        in_key=False,
        of_speed=True,
        unit="s",
        meaning="wall time after which the trial would have been killed",
    )
    find_batch_size: int = option(
        0,
        kind=WHOLE,
        help="Also find the largest batch that trains, up to this many images.",
        accepts=lambda value: value >= 0,
        accepted="the largest batch size that is tried, such as 1024; 0 for none",
        axis=False,
        in_key=False,
        of_training=False,
        of_speed=True,
        own_form=True,
        unit="images",
        meaning="the batch size up to which the largest that trains was sought; 0: not sought",
    )
    sweep_seconds: float = option(
        120.0,
        kind=NUMBER,
        help="Seconds after which the sweep over inference batches tries no larger one; compiling counts.",
        accepts=lambda value: value >= 0,
        accepted="seconds, such as 20; 0: batches of one image only",
        axis=False,
        in_key=False,
        of_training=False,
        of_speed=True,
        unit="s",
        meaning="after which the sweep over inference batches was to try no larger one",
    )
    trace: bool = option(
        False,
        kind=FLAG,
        help="Write a profiler's trace of some training steps, for TensorBoard.",
        default_text="-",
        axis=False,
        in_key=False,
        of_speed=True,
        meaning="whether a profiler's trace was to be written",
    )
    keep_weights: str = option(
        "best",
        choices=("all", "best", "none"),
        help="Whose final weights stay: all, none, or best: those of each pair's best trial on validation.",
        axis=False,
        in_key=False,
        meaning="whose weights were to stay",
    )

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the images that the model takes."""
        return self.crop or self.image_size

    @property
    def pair(self) -> str:
        """`unet:resnet50`: architecture and backbone in one word."""
        return f"{self.arch}:{self.backbone}" if self.backbone else self.arch

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the budget as text."""
        sizes = {"image_size": list(self.image_size), "crop": list(self.crop) if self.crop else None}
        return {**asdict(self), **sizes, "budget": str(self.budget)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrialConfig":
        """The reverse of `to_dict`: a field that is missing has its default, an unknown one is left out."""
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in values.items() if k in known}
        if "budget" in values:
            values["budget"] = Budget.parse(values["budget"])
        for name in ("image_size", "crop"):
            if values.get(name):
                values[name] = tuple(values[name])
        return cls(**values)


OPTIONS = table(TrialConfig)
"""Every field, by name."""
SEEDS = Option(
    kind=WHOLE,
    panel=REPETITION,
    name="seeds",
    field="seeds",
    help="This many seeds: 0 to N-1. Not beside --seed.",
    accepted="how many seeds, 1 or more, such as 3",
    default_text="-",
    of_speed=True,
)
RESULTS = Option(
    kind=PATH, name="results", field="results", help="Where the records go.", accepted="a folder's path", axis=False
)
"""Two names that a user may give beside the table's: how many seeds, and the results folder."""
POOLED = ("seed", "repeat")
"""Fields in which the trials of one configuration differ."""
DEFAULTS = TrialConfig(arch="", dataset="")
