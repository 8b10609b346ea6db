"""The engine's end of the feed: tells every gate what it needs, and takes their decisions in.

Guarantees: only processes of our own user, or of root, are heard (SO_PEERCRED, unix(7)); a gate is told everything once
and every change after it, in order; one that doesn't keep up is disconnected rather than waited for, and begins anew; a
record counts as taken when the engine has made it durable. Belongs to the event loop's thread, `publish` alone may be
called from any.
"""

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary.listening import UnixAddress, bind
from ostiary.sidecar.frames import (
    CLOSE,
    CLOSED,
    HEARD,
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
    unpack_object,
)
from policy.bundles import Bundle
from policy.values import Decision
from risk.standing import Standing
from sensors.entities import Entity, EntityKind

BEAT_S = 1.0
MOST_WAITING = 64 << 20
"""Bytes that a gate may leave unread."""
_PEER = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class News:
    """What the engine says of risks."""

    model: str
    """The model's revision."""
    standings: Sequence[Standing]
    whole: bool
    """Everything that there is; else what is new."""


Snapshot = Callable[[Callable[[], None]], Awaitable[News]]
"""Returns everything; calls back (from any thread) between what it read and whatever is published later."""


Close = Callable[[Sequence[tuple[Entity, str]]], Awaitable[int]]
"""Closes connections of entities, each with the decision that says so."""


class FeedServer:
    """Serves gates on a unix socket."""

    def __init__(
        self,
        snapshot: Snapshot,
        take: Callable[[Sequence[Decision]], Awaitable[None]],
        lost: Callable[[int], None],
        bundle: Bundle,
        close: Close | None = None,
    ) -> None:
        """`take` returns when the decisions are durable; `lost` is told of decisions that never will be.

        `close` closes connections of those that a gate names, and returns how many.
        """
        self._snapshot, self._take, self._lost, self._bundle = snapshot, take, lost, bundle
        self._close = close
        self._gates: dict[asyncio.StreamWriter, list[bytes] | None] = {}
        self._loop = asyncio.get_running_loop()
        self._talks: set[asyncio.Task[None]] = set()
        self.heard: dict[int, Mapping[str, int]] = {}
        """What each process of the gate said last; those that are connected."""
        self.ready = asyncio.Event()
        """All processes of a gate have answered by what they were told."""

    async def serve(self, path: Path, stop: asyncio.Event) -> None:
        """Serve until stopped; raise `ListenError`."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        listener = bind(UnixAddress(path))
        async with await asyncio.start_unix_server(self._talk, sock=listener, limit=1 << 20):
            while not stop.is_set():
                self._tell([frame(SYNCED, {"at": time.time_ns()})])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), BEAT_S)
            for talk in tuple(self._talks):
                talk.cancel()
        path.unlink(missing_ok=True)

    def publish(self, news: News) -> None:
        """Tell all gates of risks; from any thread."""
        frames = list(_frames(news))
        if frames:
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

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        with contextlib.suppress(asyncio.CancelledError):  # the end of `serve`, which is nobody's error
            await self._talk_on(reader, writer)
        self._talks.discard(task)

    async def _talk_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        numbers: set[int] = set()
        try:
            peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            if _PEER.unpack(peer)[1] not in (0, os.geteuid()):
                return
            async with asyncio.TaskGroup() as both:
                both.create_task(self._tell_all(writer))
                both.create_task(self._listen(reader, writer, numbers))
        except* (OSError, EOFError, FrameError, KeyError, ValueError, TypeError):
            pass  # the gate connects again and is told everything anew
        finally:
            self._gates.pop(writer, None)
            for number in numbers:
                self.heard.pop(number, None)
            writer.close()

    async def _tell_all(self, writer: asyncio.StreamWriter) -> None:
        """Tell one gate everything; every change that the engine publishes later comes after it."""

        subscribed = asyncio.Event()

        def subscribe() -> None:
            subscribed.set()
            if not writer.is_closing():
                self._gates[writer] = []

        def from_engine() -> None:
            self._loop.call_soon_threadsafe(subscribe)

        news = await self._snapshot(from_engine)
        await subscribed.wait()
        for part in _frames(news, bundle_frame(self._bundle.modules, self._bundle.data, self._bundle.revision)):
            writer.write(part)
            await writer.drain()
        while held := self._gates.get(writer):
            self._gates[writer] = []
            for part in held:
                writer.write(part)
            await writer.drain()
        if writer in self._gates:
            self._gates[writer] = None

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, numbers: set[int]) -> None:
        while True:
            kind, payload = await read_frame(reader)
            if kind == RECORDS:
                rows: list[Any] = unpack(payload)
                await self._take(read_records(rows))
                writer.write(frame(TAKEN, {"count": len(rows)}))
            elif kind == CLOSE and self._close is not None:
                told = unpack(payload)
                who = [(Entity(EntityKind(kind), str(name)), str(decision)) for kind, name, decision in told["who"]]
                count = await self._close(who)
                writer.write(frame(CLOSED, {"count": count, "at": int(told["at"])}))
            elif kind == LOST:
                self._lost(int(unpack_object(payload)["count"]))
            elif kind == HEARD:
                told = {name: int(value) for name, value in unpack_object(payload).items()}
                numbers.add(told["number"])
                self.heard[told["number"]] = told
                if all(number in self.heard for number in range(told["of"])):
                    self.ready.set()


def _frames(news: News, bundle: bytes = b"") -> Iterator[bytes]:
    if news.whole:
        yield frame(HELLO, {"version": VERSION, "model": news.model})
    if bundle:
        yield bundle
    yield from risk_frames(news.standings)
    if news.whole:
        yield frame(SYNCED, {"at": time.time_ns()})
