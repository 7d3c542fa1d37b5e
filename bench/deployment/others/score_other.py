"""The child process that scores a model of somebody else on a split of a data set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.deployment.class_maps import PICTURES
from bench.deployment.others.adapter import Adapted
from bench.deployment.others.contract import Contract
from bench.deployment.others.kinds import KINDS
from bench.deployment.others.model_input import model_input
from bench.deployment.score import FileEngine
from bench.evaluation.evaluate import Evaluation, evaluate
from bench.evaluation.image_table import write_table
from bench.evaluation.predictor import Predictor
from bench.evaluation.task import Task
from bench.evaluation.thresholds import OperatingPoint
from bench.results.trial_files import IMAGES
from bench.training.build import choose_indexes
from bench.trials.trained_input.trained_values import read_by


def score(
    kind: str, file: str, contract: dict[str, Any], config: dict[str, Any], split: str, into: str
) -> dict[str, Any]:
    """Score a file on a split; the per-image table and an input of the model are written into a folder.

    Args:
        kind: a name in `KINDS`.
        contract: what must be known of the file.
        config: the data set's part counts; the image size is that of the model.
    """
    terms, setting = Contract.from_dict(contract), TrialConfig.from_dict(config)
    loaded = KINDS[kind].open(Path(file))
    spec = catalog.dataset(setting)
    if spec.classes:  # before anything is decoded; a folder's classes are only known once it is read
        Adapted(loaded, terms, spec.classes)
    size = terms.image_size or model_input(loaded.ports()[0], terms).size
    pack = read_by(terms.values, replace(setting, image_size=size), said="The model takes other images")
    model = Adapted(loaded, terms, pack.classes)
    rows = choose_indexes(pack, 1.0)[split]
    if not len(rows):
        raise BenchError(f"'{setting.dataset}' has no images in its {split} split. Give another with --split.")
    task = Task(pack, spec.metrics, native=terms.eval_size == "native")
    engine = FileEngine(model, [1, *model.input.size, terms.values.bands], len(pack.classes))
    predictor = Predictor(engine, size, batch_size=1, resize=terms.resize)
    result = evaluate(predictor, task, rows, full=True, point=_point(terms, pack.classes, model))
    pack.check_unchanged()
    write_table(Path(into) / IMAGES, *result.table)
    height, width = model.input.size
    np.save(Path(into) / PICTURES, model.input.of(pack.pictures(rows[:1])[:, :height, :width]))
    return {**_answer(model, pack, setting.dataset, result, size), **KINDS[kind].identity(Path(file))}


def _point(terms: Contract, classes: Sequence[str], model: Adapted) -> OperatingPoint | None:
    if terms.threshold is None:
        return None
    if len(classes) != 2 or model.output.holds == "classes":
        raise BenchError(
            "--threshold is for models that give logits or probabilities of two classes, but this one gives "
            f"{model.output.holds} of {len(classes)}. Leave it out."
        )
    return OperatingPoint(terms.threshold, terms.min_area)


def _answer(model: Adapted, pack: Images, dataset: str, result: Evaluation, size: tuple[int, int]) -> dict[str, Any]:
    port = model.input.port
    return {
        "metrics": result.metrics(),
        "dataset": {
            "name": dataset,
            "fingerprint": pack.fingerprint,
            "images": len(result.table.names),
            "classes": list(pack.classes),
            "notes": [*pack.notes, *pack.warnings],
        },
        "protocol_version": pack.protocol,
        "image_size": list(size),
        "input": {"name": port.name, "shape": port.shape, "dtype": port.dtype, "layout": model.input.layout},
        "output": {"name": model.output.port.name, "shape": model.shape, "holds": model.output.holds},
        "doubt": model.doubt,
    }
