"""Read files as the pictures that a stored trial's model gets: its bands, in the range that it was trained on."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.core.dataset_protocol import DataFault
from bench.core.specs import REDUCED_PROTOCOL_VERSION
from bench.core.trial_config import TrialConfig
from bench.data.geometry import reduction
from bench.data.reading.picture import Picture, Reduce, whole
from bench.data.reading.values import Values
from bench.data.reading.visible import visible
from bench.datasets.base import read_picture
from bench.results.loading import StoredTrial
from bench.trials.trained_input.trained_values import values_of


@dataclass(frozen=True)
class PictureReader:
    """A reader of image files for a trial's model.

    Args:
        values: the bands and the range that the trial was trained on.
        reduce: tells at which fraction of its size a JPEG is decoded for the model.
    """

    values: Values
    reduce: Reduce = whole

    @classmethod
    def of(cls, trial: StoredTrial, config: TrialConfig) -> "PictureReader":
        """Read as the images that a trial was trained on were read; the configuration has its size and its policy."""
        reduced = trial.record.protocol_version == REDUCED_PROTOCOL_VERSION
        reduce = partial(reduction, size=config.image_size, policy=config.resize) if reduced else whole
        return cls(values_of(trial.record), reduce)

    def read(self, path: Path) -> Picture:
        """Read a file for the model; raise DataFault if it can't be read, or has other bands or another depth."""
        return self._read(path, self.reduce)

    def visible(self, path: Path) -> np.ndarray:
        """Read a file for eyes, at its own size: the first three bands that the model gets, uint8 (H, W, 3)."""
        picture = self._read(path, whole)
        return visible(self.values.packed(picture.filled()))

    def _read(self, path: Path, reduce: Reduce) -> Picture:
        picture = read_picture(path, reduce=reduce, bands=self.values.chosen)
        found, wanted = (picture.bands, picture.kind), (self.values.bands, self.values.kind)
        if found != wanted:
            raise DataFault(
                f"{path}: the image has {found[0]} bands of {found[1]}, and the run was trained on {wanted[0]} of "
                f"{wanted[1]}. Give images of the same bands and depth.",
                "depth",
            )
        return replace(picture, values=self.values)
