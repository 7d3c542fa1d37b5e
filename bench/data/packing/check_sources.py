"""Compare the source files of a pack with those that it was made from, byte by byte: `--verify-data`."""

import sys
from collections.abc import Callable

from bench.core.dataset_protocol import Sample
from bench.core.errors import first_few
from bench.core.files import printable
from bench.data.packing.manifest import Manifest, Unfit, kept
from bench.data.reading.contents import fetched_once, threads_for
from bench.data.reading.decode import digest_of
from bench.data.remote.patience import threads
from bench.data.source import Source

_MOST_NAMED = 10


def check_sources(source: Source, manifest: Manifest, progress: Callable[[int, int], None] | None) -> None:
    """Hash the files of all samples; raise Unfit, which names those that aren't as they were, or say that all are.

    Args:
        progress: called with the number of samples done and the number of all samples.
    """
    samples = kept(source, manifest)
    changed = []
    with threads(threads_for(source.data_dir)) as pool:
        digests = zip(samples, pool.map(_digest, samples), manifest["digests"], strict=True)
        for done, (sample, now, before) in enumerate(digests, 1):
            if now != before:
                changed.append(printable(sample.name))
            if progress:
                progress(done, len(samples))
    if changed:
        listed = first_few(changed, _MOST_NAMED)
        raise Unfit(f"{len(changed)} of its {len(samples)} samples have other files now: {listed}")
    print(f"The files of all {len(samples)} samples are as they were packed.", file=sys.stderr, flush=True)


def _digest(sample: Sample) -> str:
    """Hash a sample's files; an empty text if one can't be read, which reading them again explains."""
    try:
        with fetched_once():
            return digest_of(sample)
    except OSError:
        return ""
