"""A model of other bands or 16 bits says so in its model.json, and gets pictures of these."""

import json

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.data.reading.values import Values
from bench.deployment.format import Port
from bench.deployment.others.contract import Contract, contract_of
from bench.deployment.others.model_input import model_input

DEEP = Values(6, "uint16", "given", (0.0,) * 6, (4095.0,) * 6, (5, 4, 3, 2, 1, 0))


def written(tmp_path, **input):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"input": {"normalisation": "inside the graph", **input}}), encoding="utf-8")
    return path


def test_a_model_json_gives_the_bands_and_the_range_and_survives_json(tmp_path):
    contract, _ = contract_of(written(tmp_path, channels=6, values=DEEP.to_dict()), {})
    assert contract.values == DEEP
    assert Contract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract


def test_without_values_pictures_are_8_bit_rgb(tmp_path):
    assert contract_of(written(tmp_path, channels="RGB"), {})[0].values.is_plain


@pytest.mark.parametrize("values", ["all", {"bands": 0}, {"kind": "complex64"}, [6]])
def test_values_that_cannot_be_read_are_named(values, tmp_path):
    with pytest.raises(BenchError, match="can't be read"):
        contract_of(written(tmp_path, values=values), {})


def test_channels_that_are_a_number_need_values(tmp_path):
    with pytest.raises(BenchError, match=r"input\.channels"):
        contract_of(written(tmp_path, channels=6), {})


@pytest.mark.parametrize(("shape", "layout"), [((1, 8, 8, 6), "NHWC"), ((1, 6, 8, 8), "NCHW")])
def test_the_layout_is_told_by_the_number_of_bands(shape, layout):
    assert model_input([Port("x", shape, "uint16")], Contract(values=DEEP)).layout == layout


def test_stored_values_of_16_bits_reach_the_graph_as_they_are():
    pictures = np.random.default_rng(0).integers(0, 65536, (1, 4, 4, 6), np.uint16)
    found = model_input([Port("x", (1, 4, 4, 6), "uint16")], Contract(scale=1.0, values=DEEP)).of(pictures)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pictures)


def test_a_program_of_pytorch_gets_16_bits_as_int32():
    pictures = np.random.default_rng(0).integers(0, 65536, (1, 4, 4, 6), np.uint16)
    found = model_input([Port("x", (1, 4, 4, 6), "int32")], Contract(scale=1.0, values=DEEP)).of(pictures)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, pictures)


def test_floats_are_scaled_from_16_bits():
    pictures = np.full((1, 4, 4, 6), 65535, np.uint16)
    found = model_input([Port("x", (1, 4, 4, 6), "float32")], Contract(scale=1 / 65535, values=DEEP)).of(pictures)
    np.testing.assert_allclose(found, 1.0, rtol=1e-6)


def test_a_graph_of_bytes_does_not_get_16_bits():
    with pytest.raises(BenchError, match=r"takes uint8\. Accepted: .*uint16"):
        model_input([Port("x", (1, 8, 8, 6), "uint8")], Contract(scale=1.0, values=DEEP))


def test_a_graph_without_an_axis_of_the_bands_is_refused():
    with pytest.raises(BenchError, match="no axis of 6 channels"):
        model_input([Port("x", (1, 8, 8, 3), "uint16")], Contract(values=DEEP))
