"""The gate's end of the feed: follows the engine, and remembers what it heard for the next start.

Guarantees: what was heard stays in force while the engine is away, and its age is told; a new connection replaces the
risks as a whole, in one step once all are told, so that no answer rests on half of them; a bundle that does not compile
leaves the one before in force; a snapshot holds the frames as they came, sealed.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ostiary.errors import OstiaryError
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Decides, Door
from ostiary.sidecar.frames import (
    BUNDLE,
    CLOSE,
    CLOSED,
    HEARD,
    HELLO,
    RISKS,
    SYNCED,
    TAKEN,
    frame,
    read_frame,
    read_risks,
    risk_frames,
    unpack_object,
)
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.outbox import Outbox
from ostiary.sidecar.sealed import Sealing, read_sealed
from policy.errors import PolicyError
from sensors.entities import Entity

SOCKET = "feed.sock"
"""In the directory of the gates; the engine listens there."""
RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)
FLUSH_S = 0.05
"""Records wait this long for others to go with them."""
QUIET_S = 5.0
"""An engine that says nothing for so long is taken for gone."""

MakeDecider = Callable[[dict[str, Any]], Decides]
"""Makes what decides out of a bundle's frame; raises `PolicyError`."""


class Follower:
    """Keeps a door up to date."""

    def __init__(
        self,
        door: Door,
        make_decider: MakeDecider,
        changed: Callable[[Iterable[Entity] | None], None],
        say: Callable[[str], None],
    ) -> None:
        """`changed` hears whose risk did, or None where anybody's decision may be another."""
        self._door, self._make, self._told, self._say = door, make_decider, changed, say
        self._coming: Mirror | None = None
        self._bundle: dict[str, Any] = {}
        self._with_it: dict[str, Any] | None = None
        """The bundle that came with risks which aren't all told yet."""
        self._saving = asyncio.Lock()
        self.changed = False
        """Whether there is something that a snapshot doesn't have yet."""

    def take(self, kind: bytes, payload: bytes) -> None:
        """Take a frame of the engine's in; raise `FrameError`."""
        if kind == HELLO:
            self._coming = Mirror()
            self._coming.revision = str(unpack_object(payload).get("model", ""))
        elif kind == RISKS:
            self._risks(payload)
        elif kind == BUNDLE and self._coming is not None:
            self._with_it = unpack_object(payload)  # no policy decides before the risks are known that it decides by
        elif kind == BUNDLE:
            self.use(unpack_object(payload))
        elif kind == SYNCED:
            self._synced(int(unpack_object(payload)["at"]))

    def use(self, bundle: dict[str, Any]) -> None:
        """Decide by another bundle from now on; where it doesn't compile the one before stays in force."""
        if self._bundle.get("revision") == bundle.get("revision") and self._door.decider is not None:
            return
        try:
            self._door.decider = self._make(bundle)
        except PolicyError as error:
            self._say(f"a bundle was refused, the one before stays in force: {error} [{error.code}]")
            return
        self._bundle, self.changed = bundle, True
        self._told(None)

    def remake(self, make_decider: MakeDecider) -> None:
        """Make what decides anew, by other settings; raise `PolicyError` and change nothing where that fails."""
        if self._bundle:
            self._door.decider = make_decider(self._bundle)
        self._make = make_decider

    def _risks(self, payload: bytes) -> None:
        mirror = self._door.mirror if self._coming is None else self._coming
        standings = list(read_risks(payload))
        for standing in standings:
            mirror.put(standing)
        self.changed = True
        if self._coming is None:
            self._told([standing.entity for standing in standings])

    def _synced(self, at: int) -> None:
        if self._coming is not None:
            self._door.mirror, self._coming = self._coming, None
            if self._with_it is not None:
                self.use(self._with_it)
                self._with_it = None
            self._told(None)
        self._door.mirror.synced_ns = at
        self._door.counters.put("synced_ns", at)
        self._door.counters.put("risks", len(self._door.mirror))

    def snapshot(self) -> Iterator[bytes]:
        """Yield the frames that would bring another gate to where this one is."""
        mirror = self._door.mirror
        yield frame(HELLO, {"model": mirror.revision})
        if self._bundle:
            yield frame(BUNDLE, self._bundle)
        yield from risk_frames(mirror.standings())
        yield frame(SYNCED, {"at": mirror.synced_ns})

    async def save(self, path: Path, key: bytes) -> None:
        """Write the snapshot where there is something new, a chunk at a time between answers; raise OSError."""
        async with self._saving:  # whoever comes meanwhile waits for what is being written
            if not self.changed:
                return
            self.changed = False
            try:
                await self._write(path, key)
            except BaseException:
                self.changed = True
                raise

    async def _write(self, path: Path, key: bytes) -> None:
        sealing = Sealing(path, key)  # not in a thread, which would go on with it when this is cancelled
        try:
            for chunk in self.snapshot():
                await asyncio.to_thread(sealing.put, chunk)
            await asyncio.to_thread(sealing.close)
        except BaseException:
            sealing.abandon()
            raise

    def load(self, path: Path, key: bytes) -> bool:
        """Go on from a snapshot; return False where there is none that can be trusted."""
        if not path.exists():
            return False
        try:
            for chunk in tuple(read_sealed(path, key)):  # the whole before any of it
                self.take(chunk[4:5], chunk[5:])
        except (OstiaryError, ValueError, KeyError, TypeError) as error:
            self._say(f"the snapshot is not used: {error}")
            self._coming = None
            return False
        return True


class Feed:
    """The connection to the engine, made again for as long as the gate runs."""

    def __init__(
        self, path: Path, follower: Follower, outbox: Outbox, counters: Counters, said: Callable[[], dict[str, int]]
    ) -> None:
        """`said` gives what the engine is told with each beat: {"number", "of", ...}."""
        self._path, self._follower, self._outbox, self._counters = path, follower, outbox, counters
        self._said = said
        self._writer: asyncio.StreamWriter | None = None
        self.connected = False

    def close(self, at: int, who: list[list[str]]) -> None:
        """Have connections closed, named at an instant (ns): [kind, id, decision] each; lost while it is away."""
        if self._writer is not None and who:
            for part in self._outbox.frames():
                self._writer.write(part)  # the decisions first, which they refer to
            self._writer.write(frame(CLOSE, {"at": at, "who": who}))

    async def run(self) -> None:
        """Follow the engine until cancelled."""
        failures = 0
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=1 << 20)
            except OSError:
                failures = min(failures + 1, len(RETRY_S) - 1)
            else:
                failures = 0
                await self._follow(reader, writer)
                self._counters.add("feed_lost")
            await self._outbox.relieve()  # nobody takes them meanwhile
            self._counters.put("waiting_records", len(self._outbox))
            await asyncio.sleep(RETRY_S[failures])

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected, self._writer = True, writer
        sender = asyncio.get_running_loop().create_task(self._send(writer))
        sender.add_done_callback(lambda _: writer.close())  # whatever ended it, a new connection has another
        try:
            while True:
                async with asyncio.timeout(QUIET_S):
                    kind, payload = await read_frame(reader)
                if kind == TAKEN:
                    count = int(unpack_object(payload)["count"])
                    self._outbox.taken(count)
                elif kind == CLOSED:
                    closed = unpack_object(payload)
                    self._counters.add("closed", int(closed["count"]))
                    self._counters.add("closings")
                    self._counters.add("closing_ns", max(0, time.time_ns() - int(closed["at"])))
                else:
                    self._follower.take(kind, payload)
                    if kind == SYNCED:
                        writer.write(frame(HEARD, self._said()))
        except Exception:  # noqa: BLE001, S110 - whatever it was, the connection is made again and everything told anew
            pass
        finally:
            self.connected, self._writer = False, None
            sender.cancel()
            try:
                await asyncio.wait([sender])  # which leaves it to us to be cancelled meanwhile
            finally:
                self._outbox.disconnected()
                writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the connection is gone: whoever reads from it sees that, too
            while True:
                await self._outbox.relieve()
                for part in self._outbox.frames():
                    writer.write(part)
                    await writer.drain()
                self._counters.put("waiting_records", len(self._outbox))
                await asyncio.sleep(FLUSH_S)
