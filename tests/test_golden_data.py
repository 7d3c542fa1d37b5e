"""The excerpts of the real data sets keep their pixels, labels, fingerprints and keys, whatever else is read.

At SMALL each JPEG is decoded at a fraction of its size, protocol 2; at WIDE none is, and all is as it ever was.
"""

import hashlib

import numpy as np
import pytest
from excerpts import EXCERPTS, needs

from bench.config import catalog
from bench.core.files import VARIABLE
from bench.core.trial_config import TrialConfig
from bench.data import pack
from bench.trials.identity import trial_key

SMALL, WIDE = (32, 48), (32, 512)
THINNED = {"balance_ships": 5, "empty_fraction": 0.5}
EXPECTED = (
    ("pets", "oxford_pets", {}, SMALL, "8c66cfd7ed8cd7ca", "cdc076781703d788", "98fff62c1e77"),
    ("pets-binary", "oxford_pets", {}, SMALL, "8c66cfd7ed8cd7ca", "eb661e2b0bee5942", "54c9f772db8a"),
    ("carvana", "carvana", {}, SMALL, "1d6424c6ec8be022", "0a15cc11c00d8b63", "98e5c90baec1"),
    ("airbus", "airbus", {}, SMALL, "47fc818b236a3ae2", "766cc8cd10896fcd", "7b84e697604f"),
    ("airbus", "airbus", THINNED, SMALL, "27916833ce7b83d9", "398f6ce83a548801", "37328940f545"),
    ("pets", "oxford_pets", {}, WIDE, "8c66cfd7ed8cd7ca", "5d9e99edf6896762", "3b0ed0d62c39"),
    ("pets-binary", "oxford_pets", {}, WIDE, "8c66cfd7ed8cd7ca", "2fa5e6729410e440", "a53f7629115a"),
    ("carvana", "carvana", {}, WIDE, "1d6424c6ec8be022", "8c92476d18ea9f7b", "abfb4b6582ec"),
    ("airbus", "airbus", {}, WIDE, "47fc818b236a3ae2", "6604e9e978819bbb", "888dc6e354a2"),
    ("airbus", "airbus", THINNED, WIDE, "27916833ce7b83d9", "fb71d377c50191ea", "d41260364385"),
)
"""Name, folder, parameters, image size, fingerprint, hash of the pack's images and labels, key of U-Net's trial."""


@pytest.mark.parametrize(
    "name, part, params, size, fingerprint, content, key",
    [pytest.param(*row, marks=needs(row[1]), id=f"{row[0]}{len(row[2]) or ''}-{row[3][1]}") for row in EXPECTED],
)
def test_the_excerpt_is_read_as_ever(tmp_path, monkeypatch, name, part, params, size, fingerprint, content, key):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    config = TrialConfig(
        arch="unet", dataset=name, data_dir=str(EXCERPTS / part), dataset_params=params, image_size=size
    )
    resolved = catalog.resolve_config(config)
    made = pack.prepare(catalog.dataset(resolved), size, data_dir=EXCERPTS / part, params=resolved.dataset_params)
    assert made.fingerprint == fingerprint
    assert _hash(made.images, made.labels) == content
    assert made.protocol == (2 if size == SMALL else 1)
    assert trial_key(resolved, made.fingerprint, protocol=made.protocol) == key


def _hash(*arrays: np.ndarray) -> str:
    hasher = hashlib.sha256()
    for array in arrays:
        hasher.update(array.tobytes())
    return hasher.hexdigest()[:16]
