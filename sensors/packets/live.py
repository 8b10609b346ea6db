"""Capture from a network interface.

Packets are decoded where the kernel put them, by the same kernels that read files. Guarantees: a batch comes at least
every `PAUSE` s or so, an empty one when nothing came in, so that event time goes on; `stop` is asked as often; what the
kernel dropped is counted. Event time is the kernel's receipt time; without packets it follows the clock, `LAG` ns
behind. A packet on a loopback interface counts once. An interface that goes down is waited for, one that vanishes ends
the source. It doesn't switch the interface into promiscuous mode.
"""

import errno
import secrets
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sensors.errors import PrivilegeError, UnreadableInputError
from sensors.packets import ring
from sensors.packets.headers.link import LINK_ETHERNET, LINK_RAW
from sensors.packets.pipeline import CHUNK, Pipeline, warm_up
from sensors.settings import SensorSettings
from sensors.values import Batch, Counters, Fault, never

PAUSE = 0.1
LAG = 150_000_000
"""A packet may wait this long (ns) in a block of the ring that isn't handed over yet."""

_ETH_P_ALL = 3
_ARPHRD_ETHER = 1
_ARPHRD_LOOPBACK = 772
_ARPHRD_RAW = (512, 65534, 768, 776, 778)  # PPP, none (tun, WireGuard), IP-in-IP, 6in4, GRE


class LiveSource:
    """A network interface as a source, from the moment it is made until it is stopped."""

    format = "live"
    size = 0

    def __init__(self, interface: str, settings: SensorSettings, now: Callable[[], int] = time.time_ns) -> None:
        """Begin to capture; raise `PrivilegeError`, or `UnreadableInputError` if there is no such interface."""
        self.name = interface
        self.counters = Counters()
        self._now = now
        self._socket = _opened(interface)
        warm_up()  # before the ring fills
        try:
            self._ring = ring.Ring(self._socket)
            self._socket.bind((interface, _ETH_P_ALL))
            self._link, self._skip = _kind(interface, self._socket.getsockname()[3])
        except OSError as error:
            self._socket.close()
            raise UnreadableInputError(f"{interface}: {error.strerror or error}") from error
        self._pipeline = Pipeline(interface, settings, self.counters, secrets.randbits(63), has_offsets=False)
        self._state = np.zeros(ring.STATE_SIZE, np.int64)

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
                    self.counters.dropped += self._ring.drops()
                    yield self._pipeline.pass_time(self._now() - LAG)
                elif not self._wait():
                    break
            self.counters.dropped += self._ring.drops()
            yield self._pipeline.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Stop capturing and free the ring."""
        self._ring.close()
        self._socket.close()

    def _received(self) -> Batch | None:
        """Return what the blocks that are ready hold; None if none is."""
        packets, count, blocks = self._pipeline.packets, 0, []
        while count + ring.MOST_FRAMES <= CHUNK and (begin := self._ring.take()) >= 0:
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


def _opened(interface: str) -> socket.socket:
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError as error:
        python = Path(sys.executable).resolve()
        raise PrivilegeError(
            f"{interface}: live capture needs CAP_NET_RAW: run it with sudo, set AmbientCapabilities=CAP_NET_RAW in "
            f"its systemd unit, or give it to the interpreter with `sudo setcap cap_net_raw+ep {python}`"
        ) from error
    except OSError as error:
        raise UnreadableInputError(f"{interface}: {error.strerror or errno.errorcode.get(error.errno or 0)}") from error


def _kind(interface: str, hardware: int) -> tuple[int, int]:
    """Return (link type, 1 for a loopback interface) of a hardware type; raise OSError for one that isn't read."""
    if hardware in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK):
        return LINK_ETHERNET, int(hardware == _ARPHRD_LOOPBACK)
    if hardware in _ARPHRD_RAW:
        return LINK_RAW, 0
    raise OSError(errno.EPROTONOSUPPORT, f"interfaces of hardware type {hardware} are not read", interface)
