"""Serve the API on a unix socket, or on a TCP address with TLS where it isn't loopback.

Guarantees: plain HTTP is never offered beyond this machine; the server runs in the caller's event loop and leaves its
signals alone; on `stop` requests under way are finished, for at most `GRACE_S` seconds. There is no limit on how slowly
a header may arrive, only on the number of connections.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # an ASGI application's type is uvicorn's affair

import uvicorn

from ostiary.api.errors import ListenError
from ostiary.listening import UnixAddress, bind, check_listen

GRACE_S = 5
MAX_CONNECTIONS = 256
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of a certificate chain and its private key."""

    certificate: Path
    key: Path


class _Server(uvicorn.Server):
    """A server that shares its loop and its process with others."""

    ready: asyncio.Event

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


async def serve(
    app: Any,
    listen: str,
    tls: Tls | None = None,
    *,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set; `ready` is set once connections are accepted; raise `ListenError`."""
    address = check_listen(listen, tls=tls is not None)
    server = _Server(_configure(app, tls))
    server.ready = ready
    bound = bind(address)
    watch = asyncio.create_task(_stop_when(stop, server))
    try:
        await server.serve(sockets=[bound])
    finally:
        watch.cancel()
        bound.close()
        if isinstance(address, UnixAddress):
            address.path.unlink(missing_ok=True)


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True


def _configure(app: Any, tls: Tls | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app, loop="none", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
        proxy_headers=False, server_header=False, limit_concurrency=MAX_CONNECTIONS, backlog=BACKLOG,
        timeout_keep_alive=5, timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=str(tls.certificate) if tls else None, ssl_keyfile=str(tls.key) if tls else None,
    )  # fmt: skip
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"the TLS certificate or key cannot be used: {error}") from error
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config
