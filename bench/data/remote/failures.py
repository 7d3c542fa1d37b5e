"""Judge what went wrong when an address was asked: whether to ask again, and what to say of it.

Each protocol's package has exceptions of its own, so the status of the answer and the exception's name decide.
"""

import re
from dataclasses import dataclass

from bench.core.errors import BenchError
from bench.core.untrusted.masking import masked

_QUERY = re.compile(r"(?<=\w)\?[^\s'\")]+")  # of an address: it may be signed
_AGAIN = (408, 425, 429)  # HTTP statuses below 500 that pass
_CLOSED = ("NoCredentials", "CredentialRetrieval", "ProfileNotFound", "Authentication")  # in names of exceptions


class Unreachable(BenchError):
    """An address doesn't answer at all: what is asked next would wait just as long."""


class Cut(Exception):
    """Another number of bytes came than the file has."""

    def __init__(self, came: int, whole: int):
        super().__init__(f"{came:,} of its {whole:,} bytes came")


@dataclass(frozen=True)
class Failure:
    """One attempt that failed."""

    text: str
    missing: bool = False
    refused: bool = False  # it may not be read, or never will be

    @property
    def is_final(self) -> bool:
        """Tell whether asking again is of no use."""
        return self.missing or self.refused

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Describe an exception. By HTTP any failure to look at a file is called missing; its cause tells more."""
        cause = error.__cause__
        of_web = cause is not None and type(cause).__module__.startswith("aiohttp")
        if isinstance(error, FileNotFoundError) and cause and (of_web or isinstance(cause, TimeoutError)):
            error = cause
        status = _status(error)
        return cls(
            _text(error, status),
            missing=status in (404, 410) or isinstance(error, FileNotFoundError),
            refused=isinstance(error, PermissionError | NotImplementedError)
            or any(name in type(error).__name__ for name in _CLOSED)
            or (status is not None and 400 <= status < 500 and status not in _AGAIN),
        )


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an exception tells."""
    found = next((getattr(error, name, None) for name in ("status", "code") if hasattr(error, name)), None)
    return found if isinstance(found, int) and 100 <= found < 600 else None


def _text(error: BaseException, status: int | None) -> str:
    if status is not None:
        reason = getattr(error, "message", "") or ""
        return f"it answers {status} {reason}".strip()
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "it stopped answering"
    if "Payload" in type(error).__name__:
        return "the connection was cut in the middle"
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "") or type(error).__name__
    return masked(_QUERY.sub("?...", line))[:200]
