"""The manifest of a pack: what it was made from, and the checksums of its files and of itself."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.dataset_protocol import Sample
from bench.core.files import file_stamp, stamps_known, text_hash
from bench.core.untrusted.plain_files import require_file
from bench.data.packing import checksums
from bench.data.source import Source

FORMAT = 5  # version of the pack's format; a pack of another version is written again
MANIFEST, IMAGES, LABELS = "manifest.json", "images.u8", "labels.u8"
TRUTH, INSTANCES = "truth.runs", "instances.runs"
DATA_FILES = (IMAGES, LABELS, TRUTH, INSTANCES)

_LONGEST_LINE = 200  # bytes of the first line

Manifest = dict[str, Any]


class Unfit(Exception):
    """A pack can't be used and has to be written again; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Order:
    """The description of a pack: what it is made from and how."""

    source: Source
    stamps: list[Any]  # of the samples
    image_size: tuple[int, int]  # height, width
    resize: str
    skip_corrupt: bool

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the manifest that are known before the pack is written."""
        values = self.source.values
        return {
            "format": FORMAT,
            "dataset": self.source.spec.name,
            "adapter_hash": self.source.adapter_hash,
            "image_size": list(self.image_size),
            "aspect": self.resize,
            "values": None if values is None or values.is_plain else values.to_dict(),
            "stamps": self.stamps,
        }


_REASONS = {
    "format": "another version of segbench wrote it",
    "dataset": "it is of another data set",
    "adapter_hash": "the code that reads the data has changed",
    "image_size": "it has another image size",
    "aspect": "its images were resized in another way",
    "values": "its images have other bands or were scaled in another way",
    "stamps": "source files have changed",
}


def stamps_of(source: Source) -> list[Any]:
    """Describe every sample without reading it: name, split, group, token, and its files with size and mtime."""
    with stamps_known(source.seen.stamps):
        return [_stamp(sample) for sample in source.samples]


def _stamp(s: Sample) -> list[Any]:
    return [s.name, s.split, s.group, s.token, [[str(p), *file_stamp(p)] for p in s.files]]


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as JSON; its first line has the SHA-256 of all that follows."""
    rest = json.dumps(manifest).encode()[1:]
    path.write_bytes(_first_line(rest) + b"\n" + rest)


def _first_line(rest: bytes) -> bytes:
    return f'{{"sha256": "{hashlib.sha256(rest).hexdigest()}",'.encode()


def find(pack: Path, order: Order) -> Manifest:
    """Return the manifest of the pack in a folder if it is the one that is ordered and every byte is as it was written.

    Raises:
        Unfit: it is damaged or not the one.
    """
    manifest = _read(pack / MANIFEST)
    for name, value in order.fields.items():
        if manifest.get(name) != value:
            raise Unfit(_REASONS[name])
    if manifest["skipped"] and not order.skip_corrupt:
        raise Unfit("corrupt images were left out of it")
    samples, digests = kept(order.source, manifest), manifest["digests"]
    if len(samples) != len(digests) or manifest["fingerprint"] != fingerprint(samples, digests):
        raise Unfit("its fingerprint is another one")
    check_files(pack, manifest["checksums"])
    return manifest


def first_line(pack: Path) -> bytes:
    """Return the first line of a pack's manifest, which has the hash of all others; raise OSError as reading does."""
    require_file(pack / MANIFEST, links=True)
    with (pack / MANIFEST).open("rb") as file:
        return file.readline(_LONGEST_LINE)


def check_files(pack: Path, checksums: Mapping[str, Sequence[int]]) -> None:
    """Raise Unfit if a byte of a pack's data isn't as it was written."""
    for name in DATA_FILES:
        _check(pack / name, checksums[name])


def _read(path: Path) -> Manifest:
    try:
        require_file(path, links=True)  # a FIFO would wait for ever
        content = path.read_bytes()
        manifest = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise Unfit(f"its {path.name} can't be read") from error
    if not isinstance(manifest, dict):
        raise Unfit(f"its {path.name} is damaged")
    first, _, rest = content.partition(b"\n")
    if manifest.get("format") == FORMAT and first != _first_line(rest):
        raise Unfit(f"its {path.name} is damaged")
    return manifest


def _check(file: Path, expected: Sequence[int]) -> None:
    try:
        require_file(file, links=True)
        found = checksums.difference(checksums.of_file(file), expected)
    except OSError as error:
        raise Unfit(f"its {file.name} can't be read ({error.strerror})") from error
    if found:
        raise Unfit(f"its {file.name} is damaged ({found} from their checksums)")


def kept(source: Source, manifest: Manifest) -> list[Sample]:
    """List the samples that are in a pack, in order."""
    return [sample for sample in source.samples if sample.name not in manifest["skipped"]]


def fingerprint(samples: Sequence[Sample], digests: Sequence[str]) -> str:
    """Hash names, splits and source bytes of the samples, whatever their order: 16 hexadecimal digits."""
    lines = sorted(f"{s.name}\t{s.split}\t{digest}\n" for s, digest in zip(samples, digests, strict=True))
    return text_hash("".join(lines))[:16]
