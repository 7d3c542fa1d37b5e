"""The table of options: a trial's configuration, each field with everything about its option (see `Option`)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from bench.core.backends import BACKENDS, DEFAULT_BACKEND
from bench.core.option_kinds import (
    AUGMENT,
    BUDGET,
    CLASS_WEIGHTS,
    FLAG,
    LAYER,
    LIMIT,
    NUMBER,
    NUMBER_OR_NONE,
    PARAMETERS,
    PATH,
    PLACE,
    SCHEDULE,
    SECONDS,
    SECONDS_OR_NEVER,
    SHARE,
    SIZE,
    SIZE_OR_NONE,
    SPACE,
    TARGET,
    WEIGHTS,
    WHOLE,
)
from bench.core.options import BACKEND, DATA, MODEL, REPETITION, TRAINING, TUNING, Option, option, table
from bench.core.recipe.augment_text import PRESETS
from bench.core.recipe.schedule_text import SCHEDULES
from bench.core.specs import (
    CLASS_WEIGHT_RULES,
    LOSS_TERMS,
    PRECISIONS,
    RESIZES,
    Budget,
)

ADAMW_WEIGHT_DECAY = 0.004  # Keras's default for AdamW
LARGEST_BATCH = 65_536  # images
VALIDATED = 1_000  # images of the validation split, unless --val-limit says otherwise
MOST_DEVICES = 64  # of one trial, on one machine
LARGEST_RATE = 1000.0  # of learning, decay and factors of them; more is taken for a typing error, as below
MOST_REPEATS = 10_000
MOST_FOLDS = 100
LONGEST_SECONDS = 10 * 365 * 86_400.0
MOST_GFLOPS = 1e6  # of one image
MOST_MIB = 2**24  # of memory: 16 TiB
MOST_TUNING = 1_000  # tuning trials of a configuration
LARGEST_SIDE = 4096  # pixels; more is taken for a typing error: a pack holds a whole data set at the image size


def _fits(size: tuple[int, int]) -> bool:
    return all(1 <= side <= LARGEST_SIDE for side in size)


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


def _is_limit(value: int | None) -> bool:
    return value is None or value >= 1


def _is_rate(value: float) -> bool:
    return 0 < value <= LARGEST_RATE


@dataclass(frozen=True)
class TrialConfig:
    """One architecture on one data set with one seed, backend, precision and budget.

    The defaults are the protocol's. A trial's key is made of the fields that differ from them.
    """

    arch: str = option(
        panel=MODEL,
        help="Architectures, such as unet,deeplab or unet:resnet50 (with backbone); all: every architecture that runs.",
        default_text="-",
        of_speed=True,
        step_time=True,
        meaning="the architecture",
    )
    dataset: str = option(
        panel=DATA,
        help="Data sets, such as shapes,pets, or folder:PATH, tfds:NAME, hf:OWNER/NAME.",
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
        meaning="the feature network that is the architecture's encoder; empty: none",
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
        help="A data set's parameter, such as balance=200. `bench show-dataset NAME` lists them. Repeatable.",
        default_text="-",
        by_content=True,
        meaning='parameters that select a part of the data set, as JSON, such as `{"balance": 200}`; '
        "empty: all of it. In the key by the data's fingerprint",
    )
    weights: str = option(
        "none",
        kind=WEIGHTS,
        panel=TRAINING,
        help="The backbone's initial weights: none (random), imagenet, or a file's path; or of each backbone its own: "
        "vgg16=PATH,resnet50=imagenet.",
        accepted="none, imagenet, the path of a file, or one of these for each backbone: vgg16=PATH,resnet50=imagenet; "
        'in a TOML file weights.vgg16 = "PATH"',
        by_content=True,
        meaning="the backbone's initial weights: `none` (random), `imagenet`, or a file, which is in the key by its "
        "content. Given as a table by backbone, it is the entry of the trial's own",
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
        costs=False,
        meaning="the finished trial whose weights this one started from (in the record, the path of its folder). If "
        "that trial had other classes, the head started from random weights. In the key by the content of the weights",
    )
    head: str = option(
        "softmax",
        panel=MODEL,
        choices=("softmax", "sigmoid"),
        help="How the last layer tells classes: softmax (an output for each), or sigmoid (one output, for two classes)",
        of_speed=True,
        step_time=True,
        meaning="`softmax`: the model has an output for each class; `sigmoid`: for two classes it has one output, the "
        "logit of class 1 against class 0, as published binary models have. Losses see it as two logits, of which the "
        "first is 0, so `ce` is binary cross-entropy",
    )
    initial_weights: str = option(
        "own",
        panel=TRAINING,
        choices=("own", "shared"),
        help="How random weights are drawn: own (by the backend) or shared (the same weights on every backend).",
        costs=False,
        meaning="how random weights were drawn: `own`: by the backend, from the seed; `shared`: by NumPy from the same "
        "distributions, so that they are equal on every backend. The order of batches and the augmentation are always "
        "equal on every backend; dropout never is",
    )
    image_size: tuple[int, int] = option(
        (128, 128),
        kind=SIZE,
        panel=DATA,
        help="The size of the images in pixels: 128, or height x width as 128x192.",
        accepts=_fits,
        accepted=f"pixels, such as 128, or height x width, such as 128x192; each side from 1 to {LARGEST_SIDE} pixels",
        of_speed=True,
        step_time=True,
        unit="pixels",
        meaning="height x width of the images, such as `128x128`",
    )
    same_gflops: float | None = option(
        None,
        kind=NUMBER,
        panel=DATA,
        help="In the place of --image-size, a limit of GFLOPs: each architecture gets the largest square size that it "
        "takes within it. Scores are those at native size.",
        accepts=lambda value: value is None or 0 < value <= MOST_GFLOPS,
        accepted=f"GFLOPs of a forward pass of one image, above 0 and up to {MOST_GFLOPS:,.0f}, such as 5",
        default_text="-",
        axis=False,
        in_key=False,
        costs=False,
        unit="GFLOP",
        meaning="the limit of operations of a forward pass of one image within which `image_size` is the largest "
        "square that the architecture takes; empty: the size was chosen otherwise. The size is in the key, the limit "
        "isn't",
    )
    same_memory_mib: float | None = option(
        None,
        kind=NUMBER,
        panel=DATA,
        help="In the place of --image-size, a limit of MiB: each architecture gets the largest square size whose "
        "training fits in it (memory to fit, of the whole process at this batch size, measured here on a few steps and "
        "kept in the results folder). Scores are those at native size.",
        accepts=lambda value: value is None or 0 < value <= MOST_MIB,
        accepted=f"MiB of memory, above 0 and up to {MOST_MIB:,}, such as 4000",
        default_text="-",
        axis=False,
        in_key=False,
        costs=False,
        unit="MiB",
        meaning="the limit of memory within which `image_size` is the largest square that the architecture takes: "
        "what the whole process needs to train at this batch size (as `process_peak_mib`, but without evaluation), "
        "measured on a few steps before the run; empty: the size was chosen otherwise. The size is in the key, the "
        "limit isn't",
    )
    sized_memory_mib: float | None = option(
        None,
        kind=NUMBER,
        internal="It is measured for --same-memory-mib.",
        axis=False,
        in_key=False,
        help="The memory that was measured at the chosen image size.",
        costs=False,
        unit="MiB",
        meaning="the memory that training was measured to need at the image size that `--same-memory-mib` chose; "
        "empty: the size was chosen otherwise",
    )
    resize: str = option(
        "stretch",
        panel=DATA,
        choices=RESIZES,
        help="How images with another aspect ratio are fitted",
        meaning="how images with another aspect ratio were fitted: `stretch` (height and width are scaled separately), "
        "`letterbox` (the whole image is scaled and padded; the padding is not scored), `crop` (the image is scaled to "
        "cover the size, and its centre is cut out)",
    )
    crop: tuple[int, int] | None = option(
        None,
        kind=SIZE_OR_NONE,
        panel=DATA,
        help="Train on random crops of this size: none, pixels, or height x width.",
        step_time=True,
        unit="pixels",
        meaning="height x width of the random crops that were trained on, which is the model's input size; empty: "
        "whole images. An epoch has one crop of each image. Whole images are evaluated nevertheless, in overlapping "
        "tiles",
    )
    crop_foreground: float = option(
        0.5,
        kind=NUMBER,
        panel=DATA,
        help="Probability that a crop is centred on the foreground.",
        accepts=_is_share,
        accepted="a probability from 0 to 1, such as 0.5",
        needs="crop",
        unit="share",
        meaning="probability that a crop was centred on a pixel that is neither of class 0 nor ignored; the other "
        "crops lie anywhere",
    )
    batch_size: int = option(
        16,
        kind=WHOLE,
        panel=TRAINING,
        help="Images per training step.",
        accepts=lambda value: 1 <= value <= LARGEST_BATCH,
        accepted=f"a whole number from 1 to {LARGEST_BATCH}",
        of_speed=True,
        step_time=True,
        unit="images",
        meaning="images per training step",
    )
    optimizer: str = option(
        "adam",
        panel=TRAINING,
        choices=("adam", "adamw", "sgd"),
        help="The optimizer: adam, adamw (Adam with weight decay), or sgd (with Nesterov momentum of 0.9).",
        of_speed=True,
        step_time=True,
        meaning="`adam`; `adamw` (Adam with weight decay); `sgd` (with Nesterov momentum of 0.9)",
    )
    lr: float = option(
        1e-3,
        kind=NUMBER,
        panel=TRAINING,
        help="The learning rate at the start of the schedule.",
        accepts=_is_rate,
        accepted=f"a number above 0, up to {LARGEST_RATE:g}, such as 0.001",
        costs=False,
        meaning="the learning rate at the start of the schedule",
    )
    weight_decay: float = option(
        0.0,
        kind=NUMBER,
        panel=TRAINING,
        help="Decoupled weight decay, such as 0.01; biases and the weights of normalization layers are exempt.",
        accepts=lambda value: value == 0 or _is_rate(value),
        accepted=f"a number from 0 to {LARGEST_RATE:g}, such as 0.01; with adamw above 0",
        default_text=f"0; with adamw {ADAMW_WEIGHT_DECAY:g}, as in Keras",
        of_speed=True,
        step_time=True,
        meaning="decoupled weight decay (Loshchilov and Hutter 2019), the same with each optimizer: before a step each "
        "weight is multiplied by 1 - learning rate of the step x weight decay, so the schedule scales the decay, too. "
        "Vectors are exempt: biases, and the scales and shifts of normalization layers. With `adamw` it is "
        f"{ADAMW_WEIGHT_DECAY:g} unless it is given, as in Keras, and never 0",
    )
    schedule: str = option(
        "linear",
        kind=SCHEDULE,
        panel=TRAINING,
        help=f"How the learning rate falls: {', '.join(SCHEDULES)} (times 0.1 at 0.5 and at 0.75 of the budget), or "
        "own milestones, such as steps@0.5,0.8.",
        costs=False,
        meaning="how the learning rate fell with the share of the budget that was used: `linear`, `cosine`, "
        "`constant`, `steps` (times 0.1 at 0.5 and at 0.75), or `steps@0.5,0.8` (times 0.1 at each of these)",
    )
    warmup: float = option(
        0.0,
        kind=SHARE,
        panel=TRAINING,
        help="Share of the budget in which the learning rate rises from 0, such as 5%; the schedule fills the rest.",
        accepts=lambda value: 0 <= value < 1,
        accepted="a share of the budget from 0 to below 100%, such as 5% or 0.05",
        costs=False,
        unit="share",
        meaning="share of the budget in which the learning rate rose linearly from 0; the schedule, with its "
        "milestones, filled the rest (Goyal 2017)",
    )
    clip_norm: float | None = option(
        None,
        kind=NUMBER_OR_NONE,
        panel=TRAINING,
        help="Scale the gradients of a step down if their norm over all weights is larger than this, such as 1.",
        accepts=lambda value: value is None or _is_rate(value),
        accepted=f"a number above 0, up to {LARGEST_RATE:g}, such as 1; or none",
        of_speed=True,
        step_time=True,
        meaning="the largest norm of a step's gradients over all weights, to which longer ones were scaled down "
        "(Pascanu 2013); empty: they were taken as they are",
    )
    ema: float | None = option(
        None,
        kind=NUMBER_OR_NONE,
        panel=TRAINING,
        help="Validate, test and keep a moving average of the weights with this decay a step, such as 0.999.",
        accepts=lambda value: value is None or 0 < value < 1,
        accepted="a decay above 0 and below 1, such as 0.999; or none",
        of_speed=True,
        step_time=True,
        meaning="decay of the exponential moving average of the weights, which was validated, tested and kept in "
        "place of the weights of the last step; empty: no average. At step t, from 0 on, the decay is at most "
        "(1 + t) / (10 + t), so that a short training isn't held at its first weights. Batch norm statistics are those "
        "of the averaged weights",
    )
    loss: str = option(
        "ce",
        panel=TRAINING,
        help=f"The loss: {', '.join(LOSS_TERMS)}, or a weighted sum, such as 0.5*ce+dice.",
        of_speed=True,
        step_time=True,
        meaning="`ce` (cross-entropy), `bce` (with two classes the same as `ce`, with more a sigmoid for each class), "
        "`dice`, `focal` (gamma 2), `tversky` (0.3 for false positives, 0.7 for false negatives), `lovasz` "
        "(Lovász-softmax), or a weighted sum such as `0.5*ce+dice`",
    )
    label_smoothing: float = option(
        0.0,
        kind=NUMBER,
        panel=TRAINING,
        help="Share of each pixel's label that cross-entropy spreads evenly over all classes, such as 0.1.",
        accepts=lambda value: 0 <= value < 1,
        accepted="a number from 0 to below 1, such as 0.1",
        costs=False,
        meaning="share of each pixel's label that the loss's `ce` spreads evenly over all classes (Szegedy 2016), and "
        "its `bce` over the class and the rest. Other terms take the label as it is; ignored pixels stay ignored",
    )
    class_weights: str = option(
        "none",
        kind=CLASS_WEIGHTS,
        panel=TRAINING,
        help="The weights of classes in the loss: "
        f"{', '.join(CLASS_WEIGHT_RULES)}, or one for each class, such as [0.3,0.7].",
        accepted=f"{', '.join(CLASS_WEIGHT_RULES)}, or a weight for each class: [0.3,0.7], in a TOML file [[0.3, 0.7]]",
        meaning="weights of classes in the loss: `none`; `balanced` (the pixels of each class weigh the same in total, "
        "and 1 on average); `median-frequency` (Eigen and Fergus 2015); or one weight for each class, `[0.3,0.7]`. "
        "They multiply each pixel's loss in `ce`, `bce` and `focal`, and weight the mean over classes in the other "
        "terms. Pixels are counted in the selected training images, uncropped, at the image size. The record has the "
        "resulting weights by class (in `training`)",
    )
    augment: str = option(
        "standard",
        kind=AUGMENT,
        panel=TRAINING,
        help=f"Augmentation of the training images: {', '.join(PRESETS)}, or parts, such as "
        "flip,rotate8,brightness0.1. Neighbouring parts are one augmentation, as with +.",
        of_speed=True,
        step_time=True,
        meaning="augmentation of the training images: `none`; `light`: flips, brightness by 0.1; `standard`: flips, "
        "rotation up to 8 degrees, brightness and contrast by 0.2; `strong`: flips, rotation up to 20 degrees, zoom up "
        "to 1.25 in or out, shifts up to a tenth of the side, brightness and contrast by 0.3, saturation by 0.5; or "
        "parts joined by `+`: `flip` (with a probability of 0.5, or `flip0.3`), `rotate8`, `brightness0.1`, "
        "`contrast0.2`, `zoom1.25`, `shift0.1`, `saturation0.5`. Strengths are drawn evenly up to the given one",
    )
    budget: Budget = option(  # noqa: RUF009 - makes a field
        Budget(600.0, "seconds"),
        kind=BUDGET,
        panel=TRAINING,
        help="The amount of training, such as 10m, 90s, 2000steps, 20epochs or 100ksamples.",
        meaning="the amount of training: seconds or minutes (of training alone), steps, epochs, or samples (images)",
    )
    target: str | None = option(
        None,
        kind=TARGET,
        panel=TRAINING,
        help="End a training when a validation reaches this, such as mean_iou=0.7.",
        costs=False,
        meaning="the validation score at which training ended, such as `mean_iou=0.7`; empty: it used up its budget. "
        "`target_seconds` is the time that it took. The learning rate falls as for the whole budget. Trials are ranked "
        "together only if their target is the same",
    )
    eval_size: str = option(
        "train",
        panel=TRAINING,
        choices=("train", "native"),
        help="The size at which predictions are scored: train (the image size) or native (each image's own size, which "
        "puts trials of different image sizes into one ranking).",
        meaning="the size at which predictions were scored: `train` (`image_size`), or `native`: the logits are scaled "
        "to each image's own size and compared with the labels as they are in the files",
    )
    val_limit: int | None = option(
        VALIDATED,
        kind=LIMIT,
        panel=TRAINING,
        help="The most images that a validation scores, a fixed sample of the split: a number, or all.",
        accepts=_is_limit,
        axis=False,
        by_content=True,
        unit="images",
        meaning="the most images of the validation split that were used; empty: all. Of a larger split it is a fixed "
        "sample in which each group has its share, the same for all seeds, models and image sizes. In the key only if "
        "the split is larger",
    )
    test_limit: int | None = option(
        None,
        kind=LIMIT,
        panel=TRAINING,
        help="The most images that the test scores, a fixed sample of the split: a number, or all.",
        accepts=_is_limit,
        default_text="all",
        axis=False,
        by_content=True,
        unit="images",
        meaning="the most images of the test split that were used, chosen like `val_limit`; empty: all. Trials are "
        "ranked together only if it is the same. In the key only if the split is larger",
    )
    select: str = option(
        "last",
        panel=TRAINING,
        choices=("last", "best"),
        help="The weights to test: the last, or the best on validation.",
        costs=False,
        meaning="the weights that were tested: the `last`, or the `best` on the validation split",
    )
    tune: int | None = option(
        None,
        kind=WHOLE,
        panel=TUNING,
        help="Tune each configuration by so many trials on the validation split; then train it with what was chosen.",
        accepts=lambda value: value is None or 1 <= value <= MOST_TUNING,
        accepted=f"the number of tuning trials of each configuration, from 1 to {MOST_TUNING}, such as 12",
        default_text="-",
        axis=False,
        costs=False,
        unit="trials",
        meaning="the number of tuning trials by which options of the trial were chosen on the validation split; empty: "
        "none were. Trials are ranked together only if they were tuned alike: by as many trials, with the same share "
        "of the budget, search space, sampler and seed",
    )
    search: str = option(
        "",
        kind=SPACE,
        panel=TUNING,
        help="The options to tune, each with a range or alternatives: lr=1e-4..1e-2:log,augment=light|strong.",
        default_text="-",
        axis=False,
        needs="tune",
        costs=False,
        meaning="the options that were tuned, each with its range or alternatives, such as "
        "`lr=0.0001..0.01:log,augment=light|strong`",
    )
    tune_budget: float = option(
        0.2,
        kind=SHARE,
        panel=TUNING,
        help="The share of the budget that each tuning trial has, such as 20%.",
        accepts=lambda value: 0 < value <= 1,
        accepted="a share above 0 % and up to 100 %, such as 20%",
        default_text="20%",
        axis=False,
        needs="tune",
        costs=False,
        unit="share",
        meaning="the share of the budget that each tuning trial had",
    )
    tune_sampler: str = option(
        "tpe",
        panel=TUNING,
        choices=("tpe", "random"),
        help="How the values of tuning trials are drawn: tpe (tree-structured Parzen estimator; the first 10 at "
        "random) or random.",
        axis=False,
        needs="tune",
        costs=False,
        meaning="how the values of tuning trials were drawn, by Optuna: `tpe` (tree-structured Parzen estimator, "
        "Bergstra 2011; the first 10 at random), `random`",
    )
    tune_seed: int = option(
        0,
        kind=WHOLE,
        panel=TUNING,
        help="The seed of the sampler and of the tuning trials.",
        accepts=lambda value: 0 <= value < 2**31,
        accepted="a whole number from 0 to 2147483647",
        axis=False,
        needs="tune",
        costs=False,
        meaning="the seed of the sampler and of the tuning trials",
    )
    tune_prune: bool = option(
        False,
        kind=FLAG,
        panel=TUNING,
        help="End a tuning trial early if its validation scores stay below the median of earlier ones.",
        axis=False,
        needs="tune",
        costs=False,
        meaning="whether a tuning trial was ended as soon as its best validation score so far was below the median "
        "of the earlier whole ones at the same point: from the sixth trial and its second validation on",
    )
    prune_below: str = option(
        "",
        internal="Use bench run --tune-prune.",
        axis=False,
        help="The least validation score at each validation.",
        costs=False,
        meaning="of a tuning trial, the scores, by validation from the first, below which it was ended",
    )
    tuning_seconds: float | None = option(
        None,
        kind=NUMBER,
        internal="It is measured. Use bench run --tune N.",
        axis=False,
        in_key=False,
        help="The wall time of the tuning trials.",
        costs=False,
        unit="s",
        meaning="the wall time of all tuning trials by which the trial's options were chosen; empty: there were none",
    )
    freeze_encoder: float = option(
        0.0,
        kind=NUMBER,
        panel=TRAINING,
        help="Share of the budget, from its start, during which the backbone is frozen.",
        accepts=_is_share,
        accepted="a share of the budget from 0 to 1, such as 0.5",
        step_time=True,
        unit="share",
        meaning="share of the budget, from its start, during which the backbone was frozen: its weights and batch norm "
        "statistics did not change, and its batch norm was in inference mode",
    )
    fine_tune_lr_factor: float = option(
        0.1,
        kind=NUMBER,
        panel=TRAINING,
        help="The learning rate is multiplied by this when the backbone is unfrozen.",
        accepts=_is_rate,
        accepted=f"a number above 0, up to {LARGEST_RATE:g}, such as 0.1",
        needs="freeze_encoder",
        costs=False,
        meaning="the factor by which the learning rate was multiplied when the backbone was unfrozen",
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
        help="Share of the training images to use.",
        accepts=lambda value: 0 < value <= 1,
        accepted="a number above 0, up to 1",
        step_time=True,
        unit="share",
        meaning="share of the training images that was used",
    )
    train_limit: int | None = option(
        None,
        kind=LIMIT,
        panel=DATA,
        name="train_images",
        help="The number of training images to use, such as 50,100,500, each a part of every larger one; in place of "
        "--train-fraction.",
        accepts=_is_limit,
        default_text="all",
        step_time=True,
        unit="images",
        meaning="the number of training images that was asked for; empty: a share of them (`train_fraction`)",
    )
    seed: int = option(
        0,
        kind=WHOLE,
        panel=REPETITION,
        help="The seeds, such as 0 or 3,4,5.",
        accepts=lambda value: 0 <= value < 2**31,
        accepted="whole numbers from 0 to 2147483647, such as 0,1,2",
        of_speed=True,
        costs=False,
        meaning="the seed of initial weights, order of images and augmentation",
    )
    backend: str = option(
        DEFAULT_BACKEND,
        panel=BACKEND,
        choices=BACKENDS,
        help="The Keras backend",
        of_speed=True,
        step_time=True,
        meaning="the Keras backend",
    )
    precision: str = option(
        "float32",
        panel=BACKEND,
        choices=PRECISIONS,
        help="The Keras dtype policy",
        of_speed=True,
        step_time=True,
        meaning="the Keras dtype policy",
    )
    jit: str = option(
        "auto",
        panel=BACKEND,
        choices=("auto", "on", "off"),
        help="Compilation of steps: auto (XLA on JAX, and on TensorFlow with a GPU; PyTorch runs eagerly), on (XLA or "
        "torch.compile) or off (JAX then runs operation by operation, which is very slow).",
        of_speed=True,
        step_time=True,
        meaning="whether steps were to be compiled. `auto`: by XLA on JAX, and on TensorFlow if there is a GPU and "
        "every layer allows it; otherwise TensorFlow runs graphs, and PyTorch runs eagerly. `on`: by XLA; on PyTorch, "
        "torch.compile compiles loss, gradient and prediction, and the optimizer's update runs eagerly. `off`: "
        "TensorFlow runs graphs, PyTorch eagerly, and JAX operation by operation. `jit_compile` has the outcome",
    )
    devices_per_trial: int = option(
        1,
        kind=WHOLE,
        panel=BACKEND,
        help="Devices over which each trial divides its batches (JAX, TensorFlow).",
        accepts=lambda value: 1 <= value <= MOST_DEVICES,
        accepted=f"a whole number from 1 to {MOST_DEVICES}",
        in_key=False,
        step_time=True,
        unit="devices",
        meaning="the number of devices that divided each batch of the trial among them; `device` begins with it, as in "
        "`4 x NVIDIA H200`. On a CPU they are virtual: parts of one machine. Its key is that of the trial on one "
        "device, which it equals but for rounding",
    )
    repeat: int = option(
        0,
        kind=WHOLE,
        panel=REPETITION,
        help="Run each configuration N times with the same seed.",
        accepts=lambda value: 0 <= value < MOST_REPEATS,
        accepted=f"how many times, from 1 to {MOST_REPEATS}, such as 2",
        default_text="1",
        of_speed=True,
        costs=False,
        meaning="the number of this repeat of the same configuration and seed, from 0",
    )
    folds: int = option(
        0,
        kind=WHOLE,
        panel=REPETITION,
        help="Divide the images into so many parts of whole groups, and train once for each, which is tested.",
        accepts=lambda value: value == 0 or 2 <= value <= MOST_FOLDS,
        accepted=f"a whole number from 2 to {MOST_FOLDS}, such as 5, or 0 for the data set's one split",
        default_text="-",
        axis=False,
        costs=False,
        unit="folds",
        meaning="the number of parts of the images, of whole groups, by which the splits were made; 0: the data set's "
        "one split. Trials are ranked together only if it is the same",
    )
    fold: int = option(
        0,
        kind=WHOLE,
        internal="Use bench run --folds K.",
        help="The part that is tested.",
        costs=False,
        meaning="the part of the images that was the test split, from 1; the validation split if the data set says "
        "which images are tested. 0: there are no folds",
    )
    max_seeds: int = option(
        0,
        kind=WHOLE,
        internal="Use bench run --until-decided --max-seeds N.",
        axis=False,
        in_key=False,
        help="The most seeds of a configuration.",
        costs=False,
        meaning="the most seeds that a configuration could get while seeds were added until the order was decided "
        "(`--until-decided`), on which the level of the intervals depends; 0: the number of seeds was fixed beforehand",
    )
    measure: str = option(
        "all",
        choices=("all", "validation", "speed"),
        help="What is measured",
        internal="Leave it out, and use `bench speed` (also with --config FILE) for speed-only trials.",
        axis=False,
        of_speed=True,
        meaning="`all`: trained, tested and measured; `validation`: a tuning trial (`bench run --tune`), which was "
        "trained and scored on the validation split, and never on the test split; `speed`: only measured, by "
        "`bench speed`, on random pixels. Such a speed-only trial has the data set `none` and no metrics, history or "
        "images; options that don't concern it have their defaults",
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
        meaning="the file that defines the architecture or the data set",
    )
    data_dir: str | None = option(
        None,
        kind=PLACE,
        panel=DATA,
        help="The data set's folder, or its https://, s3:// or other address (docs/data.md).",
        accepted="a folder's path or an address",
        default_text="it is downloaded",
        axis=False,
        in_key=False,
        meaning="the folder of the data",
    )
    skip_corrupt: bool = option(
        False,
        kind=FLAG,
        panel=DATA,
        help="Leave out images that can't be read.",
        default_text="-",
        axis=False,
        in_key=False,
        meaning="whether unreadable files were left out; the data's fingerprint depends on those that were",
    )
    pack: str = option(
        "auto",
        panel=DATA,
        choices=("auto", "memory", "disk", "none"),
        help="Where decoded images are kept: disk, memory (read from there), none (decoded whenever they are needed), "
        "or auto (disk; none if they don't fit).",
        axis=False,
        in_key=False,
        step_time=True,
        meaning="where the decoded images were kept, which changes no result: `disk` (in files that all trials share "
        "and that are mapped into memory), `memory` (those files, read whole), `none` (each image was decoded whenever "
        "it was needed, by other processes), or `auto` (`disk`; if the disk had no room, the record has `none`)",
    )
    timeout: float | None = option(
        None,
        kind=SECONDS,
        help="Stop a trial after this wall time, such as 2h; a number alone is in seconds.",
        accepts=lambda value: value is None or 0 < value <= LONGEST_SECONDS,
        default_text="-",
        axis=False,
        in_key=False,
        of_speed=True,
        unit="s",
        costs=False,
        meaning="the wall time after which the trial would have been stopped",
    )
    checkpoint_every: float | None = option(
        None,
        kind=SECONDS_OR_NEVER,
        help="Write a checkpoint this often, such as 5m, or never; a number alone is in seconds. An interrupted "
        "trial goes on from the last one.",
        accepts=lambda value: value is None or 0 <= value <= LONGEST_SECONDS,
        default_text="at each validation of a training of more than 10 minutes",
        axis=False,
        in_key=False,
        unit="s",
        costs=False,
        meaning="how often the state of the training was written, from which an interrupted trial goes on; 0: never; "
        "empty: at each validation, if training takes more than 10 minutes",
    )
    find_batch_size: int = option(
        0,
        kind=WHOLE,
        help="Also find the largest batch that can be trained, up to this many images.",
        accepts=lambda value: 0 <= value <= LARGEST_BATCH,
        accepted=f"the largest batch size that is tried, such as 1024, up to {LARGEST_BATCH}; 0 for none",
        axis=False,
        in_key=False,
        of_training=False,
        of_speed=True,
        own_form=True,
        unit="images",
        meaning="the batch size up to which the largest batch that can be trained was sought; 0: not sought",
    )
    sweep_seconds: float = option(
        120.0,
        kind=NUMBER,
        help="Seconds, compilation included, after which the sweep over inference batch sizes tries no larger one.",
        accepts=lambda value: 0 <= value <= LONGEST_SECONDS,
        accepted="seconds, such as 20; with 0 only a batch of one image is tried",
        axis=False,
        in_key=False,
        of_training=False,
        of_speed=True,
        unit="s",
        meaning="the time after which the sweep over inference batch sizes tried no larger one",
    )
    trace: bool = option(
        False,
        kind=FLAG,
        help="Write a profiler trace of some training steps, for TensorBoard.",
        default_text="-",
        axis=False,
        in_key=False,
        of_speed=True,
        costs=False,
        meaning="whether a profiler trace was to be written",
    )
    measure_alone: bool = option(
        False,
        kind=FLAG,
        help="Measure speed and memory of one trial at a time, while all others of this machine that have the option "
        "pause, off their clocks.",
        default_text="-",
        axis=False,
        in_key=False,
        of_speed=True,
        costs=False,
        meaning="whether speed and memory were measured while no other trial with this option worked on the machine",
    )
    keep_weights: str = option(
        "best",
        choices=("all", "best", "none"),
        help="The trials whose final weights are kept: all, none, or best (each pair's best trial on validation).",
        axis=False,
        in_key=False,
        meaning="the trials whose final weights were to be kept",
    )
    keep_predictions: bool = option(
        False,
        kind=FLAG,
        help="Keep the test split's class maps, and for two classes its probabilities: bench rescore and the report "
        "use them.",
        default_text="-",
        axis=False,
        in_key=False,
        costs=False,
        meaning="whether the predictions for the test split were to be kept",
    )

    @property
    def bands(self) -> int:
        """The bands of an image that the parameter `bands` chooses; 3 without it, though the data may have others."""
        chosen = str(self.dataset_params.get("bands", ""))
        return len(chosen.split(",")) if chosen else 3

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the images that the model takes."""
        return self.crop or self.image_size

    @property
    def limits(self) -> dict[str, int | None]:
        """The most images that are scored, by split; None for all."""
        return {"val": self.val_limit, "test": self.test_limit}

    @property
    def repetition(self) -> str:
        """The seed, repeat and fold as a text: `0`, or `0, repeat 1, fold 2 of 5`."""
        fold = f"fold {self.fold} of {self.folds}" if self.folds else ""
        return ", ".join(filter(None, (str(self.seed), f"repeat {self.repeat}" if self.repeat else "", fold)))

    @property
    def pooled(self) -> "TrialConfig":
        """The configuration without what differs between its trials: seed, repeat and fold."""
        return replace(self, **{name: getattr(DEFAULTS, name) for name in POOLED})

    @property
    def common(self) -> str:
        """A text that all trials of one configuration have in common, and no others."""
        return repr(sorted(self.pooled.to_dict().items()))

    @property
    def pair(self) -> str:
        """Architecture and backbone in one word, such as `unet:resnet50`."""
        return f"{self.arch}:{self.backbone}" if self.backbone else self.arch

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as values that JSON can hold; the budget is a text."""
        sizes = {"image_size": list(self.image_size), "crop": list(self.crop) if self.crop else None}
        return {**asdict(self), **sizes, "budget": str(self.budget)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrialConfig":
        """Make a configuration from what `to_dict` returned; fill missing fields with defaults, drop unknown ones."""
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
    help="The number of seeds: 0 to N-1. Not together with --seed.",
    accepted="how many seeds, 1 or more, such as 3",
    default_text="-",
    of_speed=True,
)
RESULTS = Option(
    kind=PATH,
    name="results",
    field="results",
    help="The folder for the records.",
    accepted="a folder's path",
    axis=False,
)
"""SEEDS and RESULTS: two names that a user may give besides those of the table."""
POOLED = ("seed", "repeat", "fold")
"""The fields in which the trials of one configuration differ."""
DEFAULTS = TrialConfig(arch="", dataset="")
