"""Compare the source files of a pack with those that it was made from, byte by byte: `--verify-data`."""

import sys

from bench.core.errors import first_few
from bench.core.files import printable
from bench.data.packing.hash_anew import hash_anew
from bench.data.packing.manifest import Manifest, Unfit, kept
from bench.data.source import Source

_MOST_NAMED = 10


def check_sources(source: Source, manifest: Manifest, place: str) -> None:
    """Hash the files of all samples; raise Unfit, which names those that aren't as they were, or say that all are.

    Args:
        place: names the pack in the cache.
    """
    samples = kept(source, manifest)
    pairs = zip(samples, hash_anew(samples, place), manifest["digests"], strict=True)
    if changed := [printable(sample.name) for sample, now, before in pairs if now != before]:
        listed = first_few(changed, _MOST_NAMED)
        raise Unfit(f"{len(changed)} of its {len(samples)} samples have other files now: {listed}")
    print(f"The files of all {len(samples)} samples are as they were packed.", file=sys.stderr, flush=True)
