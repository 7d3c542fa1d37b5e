"""The excerpts of the real data sets keep their pixels, labels, fingerprints and keys, whatever else is read."""

import hashlib

import numpy as np
import pytest
from excerpts import EXCERPTS, needs

from bench.config import catalog
from bench.core.files import VARIABLE
from bench.core.trial_config import TrialConfig
from bench.data import pack
from bench.trials.identity import trial_key

SIZE = (32, 48)
THINNED = {"balance_ships": 5, "empty_fraction": 0.5}
EXPECTED = (
    ("pets", "oxford_pets", {}, "8c66cfd7ed8cd7ca", "2f41f3813a48da41", "2633dcb0f588"),
    ("pets-binary", "oxford_pets", {}, "8c66cfd7ed8cd7ca", "b5742a0ff1d6389c", "f6c90a918ef6"),
    ("carvana", "carvana", {}, "1d6424c6ec8be022", "5d31c82ad4fdec1c", "4deb6153af31"),
    ("airbus", "airbus", {}, "47fc818b236a3ae2", "1b5183cce1e5170b", "e1522f13b043"),
    ("airbus", "airbus", THINNED, "27916833ce7b83d9", "4b7186ef46c9612a", "aa05b4368d75"),
)
"""Name, folder, parameters, fingerprint, hash of the pack's images and labels, key of U-Net's trial."""


@pytest.mark.parametrize(
    "name, part, params, fingerprint, content, key",
    [pytest.param(*row, marks=needs(row[1]), id=f"{row[0]}{len(row[2]) or ''}") for row in EXPECTED],
)
def test_the_excerpt_is_read_as_ever(tmp_path, monkeypatch, name, part, params, fingerprint, content, key):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    config = TrialConfig(
        arch="unet", dataset=name, data_dir=str(EXCERPTS / part), dataset_params=params, image_size=SIZE
    )
    resolved = catalog.resolve_config(config)
    made = pack.prepare(catalog.dataset(resolved), SIZE, data_dir=EXCERPTS / part, params=resolved.dataset_params)
    assert made.fingerprint == fingerprint
    assert _hash(made.images, made.labels) == content
    assert trial_key(resolved, made.fingerprint) == key


def _hash(*arrays: np.ndarray) -> str:
    hasher = hashlib.sha256()
    for array in arrays:
        hasher.update(array.tobytes())
    return hasher.hexdigest()[:16]
