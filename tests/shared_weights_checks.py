"""Check shared initial weights under one backend: `python tests/shared_weights_checks.py NAME...` with names of cases.

It prints a JSON object: name -> the loss of the first training step on `shapes`, and the sum of the absolute initial
values of each trainable variable.
"""

import json
import sys
from dataclasses import replace

import keras
import numpy as np

from bench.core.trial_config import TrialConfig
from bench.training.build import build_model, build_training, choose_indexes
from bench.training.engines.engine import to_numpy
from bench.trials.plan import prepare_pack
from tests.architecture_contract import case

SIDE, BATCH = 64, 4
CONFIG = TrialConfig("", "shapes", image_size=(SIDE, SIDE), batch_size=BATCH, initial_weights="shared", seed=3)


def config_of(name: str) -> TrialConfig:
    """Return the configuration of a case without dropout, whose masks differ between backends."""
    found = case(name)
    off = {"dropout": 0.0} if any(param.name == "dropout" for param in found.spec.params) else {}
    params, backend = {**found.params, **off}, keras.backend.backend()
    return replace(CONFIG, arch=found.spec.name, backbone=found.backbone, params=params, backend=backend)


def main() -> None:
    pack = prepare_pack(CONFIG)
    train = choose_indexes(pack, 1.0)["train"]
    found = {}
    for name in sys.argv[1:]:
        config = config_of(name)
        model = build_model(config, len(pack.classes))
        for layer in model._flatten_layers():
            if "Drop" in type(layer).__name__:  # outside models have no parameter for theirs
                layer.rate = 0.0
        first = [float(np.abs(to_numpy(v).astype(float)).sum()) for v in model.trainable_variables]
        (loss,) = build_training(config, model, pack, train).steps(1)
        found[name] = {"loss": loss, "weights": first}
        keras.backend.clear_session()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
