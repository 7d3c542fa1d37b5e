"""The states of this process's global random generators, from which a model's layers may draw."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np


def random_states() -> dict[str, Any]:
    """Return the states of Python's and NumPy's global generators, as values that JSON can hold."""
    numpy = np.random.get_state(legacy=False)
    state = {**numpy["state"], "key": numpy["state"]["key"].tolist()}
    return {"python": random.getstate(), "numpy": {**numpy, "state": state}}


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Set the global generators to what `random_states` returned."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    numpy = dict(states["numpy"])
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": np.array(numpy["state"]["key"], np.uint32)}})
