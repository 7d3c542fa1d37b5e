"""The public Python API."""

import re
import subprocess
import sys

import numpy as np
import pytest

from bench import api
from bench.core.errors import BenchError


def test_importing_it_imports_neither_keras_nor_pandas():
    program = (
        "import sys, bench.api; print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_model_takes_images_and_gives_logits():
    model = api.build_model("u_net", input_shape=(32, 48, 3), num_classes=5, filters=[4, 8])
    assert model.output_shape == (None, 32, 48, 5)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("unett", {}, "Unknown architecture 'unett'. Did you mean 'unet'"),
        ("unet", {"input_shape": (33, 48, 3)}, "The next size that fits is 48x48"),
        ("unet", {"backbone": "resnet5"}, "Did you mean 'resnet50'"),
        ("unet", {"filter": 3}, "Unknown parameter of unet 'filter'"),
        ("deeplab", {"weights": "no/such.h5"}, "There is no weights file 'no/such.h5'"),
    ],
)
def test_a_model_that_can_not_be_built_is_one_line(name, change, message):
    with pytest.raises(BenchError, match=re.escape(message)):
        api.build_model(name, **{"input_shape": (32, 48, 3), "num_classes": 5, **change})


def test_a_split_is_read_picture_by_picture():
    split = api.load_dataset("shapes", split="test", limit=3)
    image, labels = split[0]
    assert (len(split), len(split[1:])) == (3, 2)
    assert (image.dtype, image.shape[-1], labels.dtype, labels.shape) == (np.uint8, 3, np.uint8, image.shape[:2])
    np.testing.assert_array_equal(split[1:][0][1], split[1][1])
    assert [labels.shape for _, labels in split] == [image.shape[:2]] * 3
    with pytest.raises(BenchError, match=re.escape("Unknown split 'training'. Did you mean 'train'")):
        api.load_dataset("shapes", split="training")


def test_the_lists_name_what_is_built_in():
    assert {"unet", "deeplab"} <= set(api.list_architectures())
    assert {"mobilenet_v2", "resnet50"} <= set(api.list_backbones())
    assert {"pets", "pets-binary", "shapes"} <= set(api.list_datasets())
