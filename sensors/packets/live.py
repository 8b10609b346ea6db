"""Capture from a network interface.

Packets are decoded where the kernel put them, by the same kernels that read files. Guarantees: a batch comes at least
every `PAUSE` s or so, an empty one when nothing came in, so that event time goes on; `stop` is asked as often; what the
kernel dropped is counted. Event time is the kernel's receipt time; without packets it follows the clock, `LAG` ns
behind. A packet on a loopback interface counts once. An interface that goes down is waited for, one that vanishes ends
the source. It doesn't switch the interface into promiscuous mode.
"""

import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

from sensors.errors import UnreadableInputError, UnreadableStateError
from sensors.packets import ring
from sensors.packets.filters import NOTHING, attach
from sensors.packets.interface import PacketSocket, open_interface
from sensors.packets.pipeline import CHUNK, Keep, Pipeline, warm_up
from sensors.packets.recent import RecentPackets
from sensors.settings import SensorSettings
from sensors.values import Batch, Counters, Fault, never

PAUSE = 0.1
MOST_HELD = ring.BLOCKS // 8
"""Blocks in a batch: the kernel keeps room for what comes in while one is read."""
LAG = 150_000_000
"""A packet may wait this long (ns) in a block of the ring that isn't handed over yet."""


class LiveSource:
    """A network interface as a source, from the moment it is made until it is stopped.

    `saved` is what an earlier one left in its own `saved` at its end, empty where there was none: its flows go on here,
    and those that are open at the end of this one are not ended but saved. None: they are ended. What cannot be gone on
    with is one fault.
    """

    format = "live"
    size = 0

    def __init__(
        self,
        interface: str,
        settings: SensorSettings,
        now: Callable[[], int] = time.time_ns,
        *,
        opened: PacketSocket | None = None,
        saved: bytes | None = None,
    ) -> None:
        """Begin to capture, from a socket that is opened where one is given; raise `SensorError`.

        Raises `PrivilegeError`, `UnreadableInputError` if there is no such interface, `BadFilterError`.
        """
        self.name = interface
        self.counters = Counters()
        self.saved = saved
        self._now = now
        opened = opened or open_interface(interface, settings.capture_filter)[0]
        self._socket, self._link, self._skip = opened.socket, opened.link, int(opened.loopback)
        try:
            warm_up()  # before the ring fills
            self._pipeline = Pipeline(interface, settings, self.counters, secrets.randbits(63), has_offsets=False)
            if saved:
                self._resume(saved)
            self._ring = ring.Ring(self._socket)
            opened.start()
        except BaseException as error:
            self._socket.close()
            if isinstance(error, OSError):
                raise UnreadableInputError(f"{interface}: {error.strerror or error}") from error
            raise
        self._state = np.zeros(ring.STATE_SIZE, np.int64)

    def keep_with(self, keep: Keep) -> None:
        """Hand every packet to `keep` from now on."""
        self._pipeline.keep = keep

    @property
    def recent(self) -> RecentPackets | None:
        """The latest packets, where they are kept for a deep look."""
        return self._pipeline.recent

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield batches until stopped; then a last one with the ends of all flows."""
        told = time.monotonic()
        try:
            while not stop():
                batch = self._received()
                if batch is not None:
                    told = time.monotonic()
                    yield batch
                elif time.monotonic() - told >= PAUSE:
                    told = time.monotonic()
                    self._count_drops()
                    yield self._pipeline.pass_time(self._now() - LAG)
                elif not self._wait():
                    break
            yield from self._rest()
            self._count_drops()
            yield self._ended()
        finally:
            self.close()

    def _rest(self) -> Iterator[Batch]:
        """Take in nothing more, and yield what has come in: nothing that the kernel took is left unread."""
        with suppress(OSError):  # the interface may be gone
            attach(self._socket, NOTHING)
        end = time.monotonic() + 2 * ring.RETIRE_MS / 1000
        while time.monotonic() < end:
            batch = self._received()
            if batch is not None:
                yield batch
                end = time.monotonic() + 2 * ring.RETIRE_MS / 1000
            else:
                time.sleep(ring.RETIRE_MS / 4000)

    def _resume(self, saved: bytes) -> None:
        """Go on with saved flows; where that cannot be, begin without."""
        try:
            self._pipeline.resume(saved)
        except UnreadableStateError as error:
            self.counters.read += 1
            self.counters.fault(Fault("capture.state", 0, str(error)))

    def _ended(self) -> Batch:
        if self.saved is None:
            return self._pipeline.finish()
        batch, self.saved = self._pipeline.suspend()
        return batch

    def _count_drops(self) -> None:
        drops = self._ring.drops()
        self.counters.dropped += drops
        self.counters.kernel_dropped += drops

    def close(self) -> None:
        """Stop capturing and free the ring."""
        self._ring.close()
        self._socket.close()

    def _received(self) -> Batch | None:
        """Return what the blocks that are ready hold; None if none is."""
        packets, count = self._pipeline.packets, 0
        blocks: list[int] = []
        while len(blocks) < MOST_HELD and count + ring.MOST_FRAMES <= CHUNK and (begin := self._ring.take()) >= 0:
            blocks.append(begin)
            count = ring.walk(self._ring.data, begin, self._state, self._link, self._skip, packets, count)
        batch = self._pipeline.feed(self._ring.data, count) if count else None
        self.counters.bytes += int(packets["captured"][:count].sum(dtype=np.int64))
        for begin in blocks:
            self._ring.release(begin)
        return batch

    def _wait(self) -> bool:
        """Wait for a block, half a pause at most; return False if the interface is gone."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLERR)
        if any(event & select.POLLERR for _, event in poll.poll(PAUSE * 500)):
            self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            try:
                socket.if_nametoindex(self.name)
            except OSError:
                self.counters.read += 1
                self.counters.fault(Fault("capture.interface", 0, "the interface is gone"))
                return False
        return True
