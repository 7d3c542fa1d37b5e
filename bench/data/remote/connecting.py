"""Open an address by the protocol's package, which fsspec imports."""

import functools
import os
from threading import Lock
from typing import Any

from bench.core.errors import BenchError
from bench.data.remote.address import WEB, protocols, with_logins
from bench.data.remote.asking import Connection
from bench.data.remote.failures import Failure

CONNECT_SECONDS, SILENT_SECONDS = 15.0, 30.0  # after which a server of HTTP counts as not answering
_CONNECTING = Lock()


def connect(address: str) -> Connection:
    """Connect to an address without credentials, once in a process.

    Raises:
        BenchError: a package or the credentials are missing, or the address can't be used.
    """
    with _CONNECTING:  # or each thread would have a connection of its own
        return _connect(address, with_logins(address), os.getpid())


@functools.lru_cache
def _connect(address: str, whole: str, process: int) -> Connection:
    import fsspec

    options = {name: _web_options() for name in WEB if name in protocols(address)}
    try:
        system, root = fsspec.core.url_to_fs(whole, **options)
    except ImportError as error:
        raise BenchError(f"'{address}' needs the package {_package(address, error)} ({error}): "
                         f"pip install {_package(address, error)}") from None  # fmt: skip
    except Exception as error:  # noqa: BLE001 - each protocol's package has exceptions of its own
        raise BenchError(f"'{address}' can't be opened ({Failure.of(error).text}).") from None
    return Connection(address, system, root.rstrip("/") or root)


def _web_options() -> dict[str, Any]:
    """Return options of HTTP: compressed bodies would have another length than their files."""
    try:
        from aiohttp import ClientTimeout
    except ImportError:
        return {}
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "headers": {"Accept-Encoding": "identity"}, "trust_env": True}}


def _package(address: str, error: ImportError) -> str:
    """Name the package that an address lacks."""
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    if set(protocols(address)) & set(WEB):
        return "aiohttp"
    return _PACKAGES.get(cause.name or "", (cause.name or protocols(address)[0]).partition(".")[0])


_PACKAGES = {"google": "gcsfs", "azure": "adlfs", "smbclient": "smbprotocol", "webdav4": "webdav4[fsspec]"}
