"""Files whose bands can't be read are one line that names the file and says what is accepted."""

import io
import json
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
import tifffile

from bench.core.dataset_protocol import DataFault
from bench.datasets.image_files import open_image, read_head, read_picture

BANDS = np.random.default_rng(0).integers(0, 60000, (20, 30, 5)).astype(np.uint16)


def tiff(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    contig = "contig" if array.ndim == 3 else None
    tifffile.imwrite(buffer, array, **{"photometric": "minisblack", "planarconfig": contig, **options})
    return buffer.getvalue()


def pages(*arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for array in arrays:
            writer.write(array, metadata=None, contiguous=False)
    return buffer.getvalue()


def with_tag(content: bytes, code: int, value: int) -> bytes:
    buffer = io.BytesIO(content)
    with tifffile.TiffFile(buffer, mode="r+") as file:
        file.pages[0].tags[code].overwrite(value)
        return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy_of(shape: tuple[int, ...]) -> bytes:
    header = repr({"descr": "<u2", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00v\x00" + header + b"xx"


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "hello")
    return buffer.getvalue()


def png(array: np.ndarray) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


BAD = {
    "pages of two sizes": (pages(BANDS[..., 0], BANDS[:9, :, 0]), "page 2 has 9x30 pixels of uint16, page 1 20x30"),
    "pages of two types": (pages(BANDS[..., 0], BANDS[..., 0].astype("f4")), "page 2 has 20x30 pixels of float32"),
    "pages of colours": (pages(*[BANDS[..., :3].astype("u1")] * 2), "2 pages of 3 bands"),
    "complex numbers": (tiff(BANDS.astype("c8")), "values of complex64. Accepted"),
    "33 bands": (tiff(np.zeros((20, 30, 33), "u2")), "has 33 bands; 1 to 32 are read. Choose some"),
    "33 pages": (pages(*[BANDS[..., 0]] * 33), "has 33 bands"),
    "a truncated TIFF": (tiff(BANDS)[:-500], r"cut off: \d+ of \d+ bytes"),
    "half a TIFF": (tiff(BANDS, rowsperstrip=2)[:3000], "cut off"),
    "an unknown compression": (with_tag(tiff(BANDS), 259, 60123),
                               r"compression 60123 (is not read. Save it|needs imagecodecs)"),
    "an unknown compression of RGB": (with_tag(tiff(BANDS[..., :3].astype("u1"), photometric="rgb"), 259, 60123),
                                      r"compression 60123 (is not read|needs imagecodecs)"),
    "an absurd size": (with_tag(tiff(BANDS), 257, 10**9), "too large"),
    "whole numbers beyond float32": (tiff(np.full((20, 30), 2**24 + 1, "u4")), "beyond 16,777,216"),
    "objects": (npy(np.array([[{}] * 3] * 3, dtype=object)), "values of object. Accepted"),
    "complex NumPy": (npy(BANDS.astype("c16")), "values of complex128"),
    "texts": (npy(np.array([["a", "b"]])), "values of <U1"),
    "0 bands": (npy(np.zeros((20, 30, 0), "u1")), r"the array is \(20, 30, 0\). Accepted"),
    "one axis": (npy(np.zeros(7)), r"the array is \(7,\)"),
    "four axes": (npy(np.zeros((2, 3, 4, 5))), r"the array is \(2, 3, 4, 5\)"),
    "33 NumPy bands": (npy(np.zeros((40, 50, 33))), "has 33 bands"),
    "a truncated NumPy file": (npy(BANDS)[:900], r"cut off: \d+ of 6000 bytes"),
    "a NumPy file without its header": (npy(BANDS)[:20], "can't be decoded"),
    "an absurd NumPy size": (npy_of((10**5, 10**5, 5)), "too large"),
    "a negative NumPy size": (npy_of((-3, 5, 5)), "can't be decoded"),
    "two arrays": (npz(a=BANDS, b=BANDS), r"one array is read, not of 2 \(a, b\)"),
    "a truncated archive": (npz(a=BANDS)[:300], "can't be decoded"),
    "an archive of texts": (zipped("a.txt"), "can't be decoded"),
    "a truncated PNG": (png(BANDS[..., :3])[:900], "can't be decoded"),
    "a damaged PNG": (flipped(png(BANDS[..., :3])), "can't be decoded"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_image_is_one_line_with_the_file(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "a.img"
    path.write_bytes(content)
    with pytest.raises(DataFault, match=message) as error:
        read_picture(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    for read in (read_head, lambda path: open_image(path, np.array)):  # a header may be sound, and a mask may fit
        try:
            read(path)
        except DataFault as fault:
            assert str(fault).startswith(f"{path}: ") and "\n" not in str(fault)


@pytest.mark.parametrize("code, name", [(5, "LZW"), (50001, "WEBP"), (34887, "LERC")])
def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path, code, name):
    path = tmp_path / "a.tif"
    path.write_bytes(with_tag(tiff(BANDS), 259, code))
    script = (
        "import json, sys; sys.modules['imagecodecs'] = None\n"
        "from pathlib import Path; from bench.datasets.image_files import read_picture\n"
        f"try: read_picture(Path({str(path)!r}))\nexcept Exception as error: print(json.dumps(str(error)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == f"{path}: its compression {name} needs imagecodecs: pip install 'segbench[geo]'"
    assert done.stderr == ""


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["tiff", "pages", "npy", "npz"])
def test_any_damage_is_one_line_or_an_image(tmp_path, kind, seed):
    whole = {"tiff": tiff(BANDS), "pages": pages(BANDS[..., 0], BANDS[..., 1]), "npy": npy(BANDS), "npz": npz(a=BANDS)}
    content, random = bytearray(whole[kind]), np.random.default_rng(seed)
    for place in random.integers(0, len(content), 8) if seed % 2 else random.integers(0, 300, 4):
        content[place] = random.integers(0, 256)
    path = tmp_path / "a.img"
    path.write_bytes(content)
    try:
        read_picture(path)
    except DataFault as fault:
        assert str(fault).startswith(f"{path}: ") and "\n" not in str(fault)
