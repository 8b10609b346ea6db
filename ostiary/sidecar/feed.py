"""The engine's end of the feed: tells every gate what it needs, and takes their decisions in.

Guarantees: only processes of our own user, or of the one that is named, are heard (SO_PEERCRED, unix(7)); a gate is
told everything once and every change after it, in order; one that doesn't keep up is disconnected rather than waited
for, and begins anew; a record counts as taken when the engine has made it durable. Belongs to the event loop's thread,
`publish` alone may be called from any.
"""

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ostiary.sidecar.frames import (
    HELLO,
    LOST,
    RECORDS,
    SYNCED,
    TAKEN,
    VERSION,
    FrameError,
    bundle_frame,
    frame,
    read_frame,
    read_records,
    risk_frames,
    unpack,
)
from policy.bundles import Bundle
from policy.values import Decision
from risk.standing import Standing

BEAT_S = 1.0
MOST_WAITING = 64 << 20
"""Bytes that a gate may leave unread."""
_PEER = struct.Struct("3i")

Snapshot = Callable[[Callable[[list[Standing]], None]], None]
"""Has the engine call back, between two batches and from its thread, with all standings."""


class FeedServer:
    """Serves gates on a unix socket."""

    def __init__(
        self,
        snapshot: Snapshot,
        take: Callable[[Sequence[tuple[Decision, bool]]], Awaitable[None]],
        lost: Callable[[int], None],
        model: str,
        bundle: Bundle,
    ) -> None:
        """`take` returns when the decisions are durable; `lost` is told of decisions that never will be."""
        self._snapshot, self._take, self._lost = snapshot, take, lost
        self._model, self._bundle = model, bundle
        self._gates: dict[asyncio.StreamWriter, list[bytes] | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, path: Path, stop: asyncio.Event, uid: int | None = None) -> None:
        """Serve until stopped; raise OSError where the socket cannot be made. `uid` may connect, beside our own."""
        self._loop = asyncio.get_running_loop()
        allowed = {os.geteuid(), 0 if uid is None else uid}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(lambda r, w: self._talk(r, w, allowed), str(path), limit=1 << 20)
        if uid is not None and os.geteuid() == 0:
            os.chown(path, uid, -1)
        path.chmod(0o600)
        async with server:
            while not stop.is_set():
                self._tell([frame(SYNCED, {"at": time.time_ns()})])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), BEAT_S)
            for writer in tuple(self._gates):
                writer.close()
        path.unlink(missing_ok=True)

    def publish(self, standings: Iterable[Standing]) -> None:
        """Tell all gates of changed risks; from any thread."""
        frames = list(risk_frames(self._model, standings))
        if frames and self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, frames)

    def use(self, bundle: Bundle) -> None:
        """Tell all gates to decide by another bundle."""
        self._bundle = bundle
        self._tell([bundle_frame(bundle.modules, bundle.data, bundle.revision)])

    def _tell(self, frames: Iterable[bytes]) -> None:
        for part in frames:
            for writer, held in tuple(self._gates.items()):
                if held is not None:  # it is still being told what was before
                    held.append(part)
                    continue
                writer.write(part)
                if writer.transport.get_write_buffer_size() > MOST_WAITING:
                    writer.transport.abort()
                    self._gates.pop(writer, None)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowed: set[int]) -> None:
        try:
            peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            if _PEER.unpack(peer)[1] not in allowed:
                return
            writer.write(frame(HELLO, {"version": VERSION, "model": self._model}))
            writer.write(bundle_frame(self._bundle.modules, self._bundle.data, self._bundle.revision))
            await asyncio.gather(self._tell_all(writer), self._listen(reader, writer))
        except (OSError, EOFError, FrameError):
            pass  # the gate connects again and is told everything anew
        finally:
            self._gates.pop(writer, None)
            writer.close()

    async def _tell_all(self, writer: asyncio.StreamWriter) -> None:
        """Tell one gate everything; every change that the engine's thread publishes later comes after it."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[list[Standing]] = loop.create_future()

        def subscribe(standings: list[Standing]) -> None:
            self._gates[writer] = []
            if not told.done():
                told.set_result(standings)

        def from_engine(standings: list[Standing]) -> None:
            loop.call_soon_threadsafe(subscribe, standings)

        await asyncio.to_thread(self._snapshot, from_engine)
        for part in risk_frames(self._model, await told):
            writer.write(part)
            await writer.drain()
        writer.write(frame(SYNCED, {"at": time.time_ns()}))
        held, self._gates[writer] = self._gates[writer] or [], None
        for part in held:
            writer.write(part)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, payload = await read_frame(reader)
            if kind == RECORDS:
                rows: list[Any] = unpack(payload)
                await self._take(read_records(rows))
                writer.write(frame(TAKEN, {"count": len(rows)}))
            elif kind == LOST:
                self._lost(int(unpack(payload)["count"]))
