"""Show a picture of any bands and depth as 8-bit RGB, for eyes and for perceptual hashes; models never see it."""

import numpy as np


def visible(image: np.ndarray) -> np.ndarray:
    """Turn a pack's image, uint8 or uint16 (H, W, C), into uint8 (H, W, 3): its first three bands, or the first, grey.

    An image of 8-bit RGB is returned as it is.
    """
    shown = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    return shown if shown.dtype == np.uint8 else (shown // 257).astype(np.uint8)


def stretched(image: np.ndarray) -> np.ndarray:
    """Turn stored values of any kind, (H, W, C), into grey uint8 (H, W): the mean of the bands from its least value."""
    grey = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0).mean(axis=-1)
    low, high = float(grey.min()), float(grey.max())
    return ((grey - low) * (255 / max(high - low, 1e-30))).astype(np.uint8)
