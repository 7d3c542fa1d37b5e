"""Keep the probability of class 1 in a byte, so that each of the 19 thresholds decides every pixel as before.

Each of the 20 ranges between two thresholds is divided into 12 equal steps. A probability comes back as the middle of
its step, which is less than 1/480 away and on the same side of every threshold.
"""

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.confusion import THRESHOLDS

STEPS = 12  # in a range: 20 ranges of 12 are the most that fit into a byte
GREATEST_ERROR = 1 / 480

_LIMITS = np.array([0, *THRESHOLDS, 1], np.float32)
_LOW, _WIDTH = _LIMITS[:-1], np.diff(_LIMITS)
_MIDDLES = (
    np.repeat(_LOW, STEPS) + np.repeat(_WIDTH, STEPS) * np.tile((np.arange(STEPS) + 0.5) / STEPS, len(_LOW))
).astype(np.float32)


def quantise(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the number of each probability's step, 0 to 239; NaN, which exceeds no threshold, is in the first."""
    known = np.nan_to_num(np.asarray(probabilities, np.float32))
    passed = np.zeros(known.shape, np.uint8)
    for limit in _LIMITS[1:-1]:
        passed += known > limit
    step = np.clip((known - _LOW[passed]) / _WIDTH[passed] * STEPS, 0, STEPS - 1).astype(np.uint8)
    return passed * np.uint8(STEPS) + step


def restored(steps: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the middle of each step; raise IndexError for a number above 239."""
    return _MIDDLES[steps]
