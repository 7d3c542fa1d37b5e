"""Prepares small data sets of tensorflow-datasets on disk: `fake_tfds.py FOLDER`, in a process of its own."""

import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

SIZE = (24, 32)


class Fake(tfds.core.GeneratorBasedBuilder):
    """Shared: images and masks of random values, `values` of them."""

    VERSION = tfds.core.Version("1.2.0")
    pkg_dir_path = Path(__file__).parent  # a script has no package
    counts = {"train": 12, "validation": 4}  # noqa: RUF012
    values = 3

    def _split_generators(self, dl_manager):
        return {split: self._examples(split, count) for split, count in self.counts.items()}

    def _generate_examples(self):
        raise NotImplementedError

    def _examples(self, split, count):
        random = np.random.default_rng(len(split))
        for number in range(count):
            image = random.integers(0, 256, (*SIZE, 3), np.uint8)
            mask = random.integers(0, self.values, (*SIZE, 1), np.uint8)
            yield number, self._example(f"{split}/photo {number}.jpg", image, mask)

    def _labelled(self, labels):
        return tfds.features.LabeledImage(shape=(None, None, 1), labels=labels)


class FakeNamed(Fake):
    """Labels with names, a depth image beside them, file names."""

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "depth": tfds.features.Image(shape=(None, None, 1), dtype=np.float32),
            "annotated": self._labelled(["ground", "disk", "ring", "never"]),
            "file_name": tfds.features.Text(),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _example(self, name, image, mask):
        depth = mask.astype(np.float32) / 3
        return {"image": image, "depth": depth, "annotated": mask, "file_name": name}


class FakePlain(Fake):
    """Masks that are only named so, by two configurations, in the split train alone."""

    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="small"), tfds.core.BuilderConfig(name="other")]  # noqa: RUF012
    counts = {"train": 20}  # noqa: RUF012

    def _info(self):
        features = {
            "picture": tfds.features.Image(),
            "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _example(self, name, image, mask):
        return {"picture": image, "segmentation_mask": mask, "label": 1}


class FakeTyped(Fake):
    """Two masks, of which only the first is of the type of labels; the second has fractions."""

    def _info(self):
        features = {
            "image": tfds.features.Image(),
            "semantic_mask": self._labelled(3),
            "soft_mask": tfds.features.Image(shape=(None, None, 1), dtype=np.float32),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _example(self, name, image, mask):
        return {"image": image, "semantic_mask": mask, "soft_mask": mask.astype(np.float32) / 3}


if __name__ == "__main__":
    for form in ("array_record", "tfrecord"):
        for builder in (FakeNamed, FakePlain, FakeTyped):
            builder(data_dir=f"{sys.argv[1]}/{form}", file_format=form).download_and_prepare()
