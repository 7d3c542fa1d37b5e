"""Hash the files of a data set again, whatever is known of them: for `--verify-data`."""

import json
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.core.dataset_protocol import Sample
from bench.data.facts.fact_log import FactLog, key_of
from bench.data.facts.file_facts import log_of, look_up
from bench.data.reading.contents import fetched_once, first_file, stamps_for, threads_for
from bench.data.reading.decode import digest_of

_KIND = "verified-1"  # changed whenever the facts change
_GOES_ON_SECONDS = 24 * 3600.0  # an interrupted check that is older is begun again


def hash_anew(samples: Sequence[Sample], place: str) -> list[str]:
    """Hash the files of samples, in hexadecimal digits; an empty text for one that can't be read.

    What a check has hashed that was interrupted within a day, and what hasn't changed since, isn't hashed again.

    Args:
        place: names the data set in the cache.
    """
    place = _begun(place)
    first = first_file(samples)
    stamp = stamps_for(first)
    keys = [json.dumps([s.name, s.token, [[str(path), *stamp(path)] for path in s.files]]) for s in samples]
    log = log_of(_KIND, place)
    if before := len(FactLog(log).places.keys() & set(map(key_of, keys))):
        print(f"{before:,} of {len(samples):,} samples were hashed by a check that was interrupted; the others follow.",
              file=sys.stderr, flush=True)  # fmt: skip
    found = look_up(_KIND, place, samples, keys, _digest, "hashing files anew", threads_for(first))
    digests = [bytes(one or b"").hex() for one in found]
    _forget(log)
    return digests


def _begun(place: str) -> str:
    """Return the name of the check that goes on; another one if what is left of the last can't be removed."""
    log = log_of(_KIND, place)
    with suppress(OSError):
        if time.time() - log.stat().st_mtime < _GOES_ON_SECONDS:
            return place
    return place if _forget(log) else f"{place} {secrets.token_hex(4)}"


def _forget(log: Path) -> bool:
    with suppress(OSError):
        log.unlink(missing_ok=True)
    return not log.exists()


def _digest(sample: Sample) -> bytes | None:
    """Hash a sample's files; None if one can't be read, which reading them again explains."""
    try:
        with fetched_once():
            return bytes.fromhex(digest_of(sample))
    except OSError:
        return None
