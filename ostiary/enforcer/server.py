"""The enforcer's socket: who may speak, how much at a time, and how it ends.

Guarantees: only processes of `allowed_uid` are heard (SO_PEERCRED, unix(7)); at most `MAX_CLIENTS` of them at a time,
each with one line at a time and a bounded wait, so that none can keep the others out for long; SIGTERM and SIGINT let
the present request end, then remove the socket. Leases stay: the kernel ends them. Requests are carried out one after
another.
"""

import asyncio
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ostiary.enforcer.core import Enforcer
from ostiary.enforcer.protocol import MAX_REQUEST_BYTES, Answer, encode
from ostiary.privileges import CAP_NET_ADMIN, keep_only
from response.actuators.nftables import NftablesActuator
from response.actuators.sockets import SocketCloser
from response.errors import ActuatorError, EnforcerProtocolError
from response.machine import never_list
from response.settings import ResponseSettings

MAX_CLIENTS = 16
IDLE_S = 30.0
"""A client that says nothing for so long is let go."""

_PEER = struct.Struct("3i")


def serve(socket_path: Path, settings: Callable[[], ResponseSettings], allowed_uid: int) -> None:
    """Carry out requests of `allowed_uid` until SIGTERM; raise `ResponseError` where it cannot start.

    Keeps no capability but CAP_NET_ADMIN. `settings` is asked anew for each action.
    """
    actuator = NftablesActuator()
    enforcer = Enforcer(settings, actuator, lambda now: never_list(now.never), time.monotonic_ns, SocketCloser())
    never_list(settings().never)
    actuator.active()  # tells a missing nft or capability before anybody asks
    with _listen(socket_path, allowed_uid) as listener:
        try:
            keep_only({CAP_NET_ADMIN})
            asyncio.run(_run(listener, enforcer.answer, allowed_uid))
        finally:
            socket_path.unlink(missing_ok=True)
    if not actuator.active():
        actuator.teardown()


def _listen(path: Path, uid: int) -> socket.socket:
    """Return a listening socket that only `uid` (and root) can open; raise `ActuatorError`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if uid != os.geteuid():
            os.chown(path, uid, -1)
        listener.listen(MAX_CLIENTS)
    except OSError as error:
        listener.close()
        raise ActuatorError(f"{path}: {error.strerror or error}") from error
    return listener


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise ActuatorError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise ActuatorError(f"{path}: another enforcer is listening there")


async def _run(listener: socket.socket, answer: Callable[[bytes], Answer], uid: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    talk = partial(_talk, answer=answer, uid=uid, places=asyncio.Semaphore(MAX_CLIENTS))
    server = await asyncio.start_unix_server(talk, sock=listener, limit=MAX_REQUEST_BYTES)
    async with server:
        await stop.wait()


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[bytes], Answer],
    uid: int,
    places: asyncio.Semaphore,
) -> None:
    try:
        if _peer_uid(writer) != uid:
            await _say(writer, Answer(ok=False, code="response.enforcer-peer", text="not for this user"))
        elif places.locked():
            await _say(writer, Answer(ok=False, code="response.enforcer-busy", text="too many clients"))
        else:
            async with places:
                while await _one(reader, writer, answer):
                    pass
    except (ConnectionError, TimeoutError):
        pass  # the client is gone; whatever it asked for has been carried out or not begun
    finally:
        writer.close()


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[bytes], Answer]) -> bool:
    """Answer one line; return whether there may be another."""
    try:
        async with asyncio.timeout(IDLE_S):
            line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return False
    except asyncio.LimitOverrunError:
        text = f"a request has at most {MAX_REQUEST_BYTES} bytes"
        await _say(writer, Answer(ok=False, code=EnforcerProtocolError.code, text=text))
        return False
    await _say(writer, answer(line))
    return True


async def _say(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(encode(answer))
    async with asyncio.timeout(IDLE_S):
        await writer.drain()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    credentials = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(credentials)[1])
