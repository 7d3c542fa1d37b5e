"""Read NumPy files: .npy, and .npz with one array.

Two axes are one band, three are (H, W, C). Where the last has more than 32 and the first at most 32, they are
(C, H, W). Nothing is unpickled.
"""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from bench.core.dataset_protocol import DataFault
from bench.core.errors import first_few
from bench.data.reading.values import MOST_BANDS
from bench.datasets.files.stored import Stored, check_area, damage_as_value_error

NPY, NPZ = b"\x93NUMPY", b"PK\x03\x04"  # the first bytes
_NUMBERS = "biufc"  # kinds of dtype; complex ones are refused by name later


def read_numpy(path: Path, file: IO[bytes]) -> Stored:
    """Read a file's array; raise DataFault for what is no image, and ValueError for a damaged file."""
    with damage_as_value_error():
        return _read(path, file, pixels=True)


def numpy_size(path: Path, file: IO[bytes]) -> tuple[int, int]:
    """Read the height and width from a file's header; errors as above."""
    with damage_as_value_error():
        return _read(path, file, pixels=False).values.shape[:2]


def _read(path: Path, file: IO[bytes], *, pixels: bool) -> Stored:
    if file.read(len(NPY)) == NPY:
        return _array(path, file, file.seek(0, 2), pixels=pixels)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) != 1:
            names = first_few(member.filename.removesuffix(".npy") for member in members) or "none"
            raise DataFault(f"{path}: a .npz file of one array is read, not of {len(members)} ({names}).", "depth")
        with archive.open(members[0]) as member:
            return _array(path, member, members[0].file_size, pixels=pixels)


def _array(path: Path, file: IO[bytes], size: int, *, pixels: bool) -> Stored:
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.kind not in _NUMBERS:
        raise DataFault(f"{path}: the array has values of {dtype}. Accepted: whole numbers and floats.", "depth")
    if len(shape) not in (2, 3) or 0 in shape:
        raise DataFault(f"{path}: the array is {shape}. Accepted: (H, W), (H, W, C) or (C, H, W).", "depth")
    count = math.prod(shape)
    check_area(path, count // (min(shape) if len(shape) == 3 else 1))
    if pixels and (there := size - file.tell()) < count * dtype.itemsize:
        raise DataFault(f"{path}: it is cut off: {there} of {count * dtype.itemsize} bytes are there.", "unreadable")
    if not pixels:
        return Stored(_as_image(np.broadcast_to(np.zeros((), dtype), shape)))
    values = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return Stored(_as_image(values.reshape(shape[::-1]).T if fortran else values.reshape(shape)))


def _as_image(values: np.ndarray) -> np.ndarray:
    if values.ndim == 2:
        return values[..., None]
    bands_first = values.shape[2] > MOST_BANDS >= values.shape[0]
    return np.moveaxis(values, 0, -1) if bands_first else values
