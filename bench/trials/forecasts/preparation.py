"""Say what comes before the first trial on a data set: steps that take a while once, decoding, and room on the disk."""

import platform
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

from bench.core.errors import BenchError
from bench.core.files import cache_path, cached
from bench.core.surroundings import usable_cores
from bench.core.trial_config import TrialConfig
from bench.data.check import evenly
from bench.data.facts.file_facts import Pending
from bench.data.packing.room import advice, free_bytes, is_packed, needed_bytes
from bench.data.reading.decode import read_row
from bench.data.reading.values import Values
from bench.data.source import Source
from bench.trials.estimate import duration
from bench.trials.trained_input.stored_values import values_of_source

_TOLD = 2**26  # bytes of a step's facts from which on they are told
_SAMPLE, _SAMPLE_SECONDS = 32, 4.0  # most images that are decoded to estimate the time of all, and the time for it


def preparations(source: Source, configs: Sequence[TrialConfig], left: Sequence[Pending]) -> list[str]:
    """Write a line for each step that is left, and one for each size at which the data set isn't packed yet.

    Args:
        configs: those with this data set.
        left: the steps that opening it by `sampling` has only tried.
    """
    name = source.spec.name
    lines = [
        f"{name}: {step.what} comes first: about {duration(step.seconds)} for {step.items:,} files"
        f"{f', {step.size / 2**30:.1f} GiB in the cache' if step.size >= _TOLD else ''}."
        for step in left
    ]
    sizes = {(config.image_size, config.resize): config for config in configs if config.pack != "none"}
    new = [config for config in sizes.values() if not is_packed(source.spec, config.image_size)]
    return [*lines, *(_decoding(source, config) for config in new)]


def _decoding(source: Source, config: TrialConfig) -> str:
    count, size = len(source.samples), config.image_size
    of_pixel = (values_of_source(source) or Values()).bytes_of_pixel
    needed, free = needed_bytes(count, size, of_pixel), free_bytes(cache_path("packs"))
    time_text = duration(_seconds(source, config) * count)
    room = f"{needed / 2**30:.1f} GiB in '{cache_path('packs')}', where {free / 2**30:.1f} GiB are free"
    line = f"{source.spec.name}: {count:,} images are decoded to {size[0]}x{size[1]}: about {time_text}, {room}."
    if needed <= free:
        return line
    instead = "so they are decoded whenever they are needed (--pack none), or " if config.pack == "auto" else ""
    return f"{line} That doesn't fit: {instead}{advice(source.spec, size, free / needed)}"


def _seconds(source: Source, config: TrialConfig) -> float:
    """Return the seconds for each image, which are measured once on a machine for each state of the data."""
    if not source.state:
        return _measured(source, config)
    where = f"{platform.node()} {len(usable_cores())}"
    asked = f"{source.state} {config.image_size} {config.resize} {where}"
    return float(cached("decoding", asked, lambda: _measured(source, config)))


def _measured(source: Source, config: TrialConfig) -> float:
    """Measure the seconds for each image, as a pack's writer reads them, from a few."""

    def read(number: int) -> None:
        with suppress(BenchError, OSError):  # the run says what is wrong
            read_row(source, some[number], config.image_size, config.resize)

    some = evenly(source.samples, _SAMPLE)
    begun, done, cores = time.monotonic(), 0, len(usable_cores())
    numbers = iter(range(len(some)))
    with ThreadPoolExecutor(cores) as pool:
        while batch := list(islice(numbers, 2 * cores)):
            list(pool.map(read, batch))
            done += len(batch)
            if time.monotonic() - begun > _SAMPLE_SECONDS:
                break
    return (time.monotonic() - begun) / max(1, done)
