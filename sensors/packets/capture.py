"""Read a capture file: classic pcap or pcapng, gzip or not.

The file is mapped, not read: a file that another process shortens while it is read ends this one (SIGBUS), as with
every reader that maps. A gzip file, or a stream, is first written to a temporary file of at most `MAX_SPOOL` bytes;
what lies beyond is counted as one fault.
"""

import gzip
import mmap
import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

import numpy as np

from sensors.errors import UnreadableInputError
from sensors.packets import pcap, pcapng, times
from sensors.packets.columns import Bytes, Numbers
from sensors.packets.pipeline import CHUNK, Pipeline
from sensors.packets.recent import RecentPackets
from sensors.packets.records import POSITION
from sensors.settings import SensorSettings
from sensors.values import Batch, Counters, Fault, Rows, never

MAX_SPOOL = 8 << 30
_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"


class Walk(Protocol):
    """Fill packets with the next frames of the data; return how many."""

    def __call__(self, data: Bytes, state: Numbers, packets: Rows, faults: Rows, noted: Numbers) -> int: ...


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes: ...


class CaptureSource:
    """A capture file as a source; its flows, DNS questions and HTTP requests in batches of `chunk` packets."""

    format = "pcap"

    def __init__(
        self, stream: IO[bytes], name: str, settings: SensorSettings, *, chunk: int = CHUNK, payloads: bool = True
    ) -> None:
        """Map an opened, uncompressed capture, which is closed then; raise `UnreadableInputError` where it is none.

        A batch is made of `chunk` packets, 1 to `CHUNK`. Without `payloads` flows alone are told.
        """
        self.name = name
        self.counters = Counters()
        with stream:
            self._data = _mapped(stream, name)
        self.size = int(self._data.size)
        self._chunk = chunk
        self._walk, self._state = _walker(self._data, name)
        self._times = np.zeros(times.STATE_SIZE, np.int64)
        self._pipeline = Pipeline(name, settings, self.counters, secrets.randbits(63), payloads=payloads)

    @classmethod
    def open(cls, path: Path, name: str, settings: SensorSettings, *, payloads: bool = True) -> "CaptureSource":
        """Open a capture file; raise `UnreadableInputError` where it cannot be read or is none."""
        try:
            stream = path.open("rb")
            with stream if (packed := stream.read(2) == _GZIP) else nullcontext():
                stream.seek(0)
                if packed:
                    return cls.from_stream(stream, name, settings, payloads=payloads)
                return cls(stream, name, settings, payloads=payloads)
        except OSError as error:
            raise UnreadableInputError(f"{name}: {error.strerror or error}") from error

    @classmethod
    def from_stream(
        cls, stream: Readable, name: str, settings: SensorSettings, *, payloads: bool = True
    ) -> "CaptureSource":
        """Read a capture, gzip or not, from a pipe or other stream to its end, then as from a file."""
        spool, fault = _spooled(stream.read)
        spool.seek(0)
        if spool.read(2) == _GZIP:
            spool.seek(0)
            with spool, gzip.GzipFile(fileobj=spool) as unpacked:
                spool, fault = _spooled(unpacked.read1)  # read() would lose what comes before damage
        source = cls(spool, name, settings, payloads=payloads)
        if fault is not None:
            source.counters.read += 1
            source.counters.fault(fault)
        return source

    @property
    def recent(self) -> RecentPackets | None:
        """The latest packets, where they are kept for a deep look."""
        return self._pipeline.recent

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield batches in event time; at the end, or when stopped, a last one with the ends of all flows."""
        packets, held = self._pipeline.packets[: self._chunk + 1], 0
        while not stop():
            count = held + self._next(packets[held:])
            at_end = self._state[POSITION] >= self._data.size
            ready = count if at_end or not count else count - 1  # the last one waits for the one after it
            disbelieved = int(self._times[times.DISBELIEVED])
            times.settle(packets, ready, count, self._times)
            self.counters.late += int(self._times[times.DISBELIEVED]) - disbelieved
            self.counters.bytes = int(self._state[POSITION])
            if ready:
                yield self._pipeline.feed(self._data, ready)
            if at_end:
                break
            held = count - ready
            packets[:held] = packets[ready:count]
        yield self._pipeline.finish()

    def _next(self, packets: Rows) -> int:
        log = self._pipeline.log
        count = self._walk(self._data, self._state, packets, log.faults, log.noted)
        self.counters.read += log.drain(self.counters)
        return count

    def frames(self) -> Iterator[tuple[np.void, bytes]]:
        """Yield each packet (a row of `PACKET`, up to `link`) with a copy of its bytes, instead of `batches`; slow."""
        packets = self._pipeline.packets[: self._chunk]
        while self._state[POSITION] < self._data.size:
            count = self._next(packets)
            for packet in packets[:count].copy():
                begin = int(packet["offset"])
                yield packet, self._data[begin : begin + int(packet["captured"])].tobytes()


def _mapped(stream: IO[bytes], name: str) -> Bytes:
    try:
        view = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (ValueError, OSError) as error:  # ValueError: an empty file
        raise UnreadableInputError(f"{name}: not a capture that can be mapped ({error})") from error
    return np.frombuffer(view, np.uint8)


def _walker(data: Bytes, name: str) -> tuple[Walk, Numbers]:
    head = data[:4].tobytes()
    if head in pcap.MAGICS and data.size >= pcap.HEADER_BYTES:
        return pcap.walk, pcap.begin(data)
    if head == pcapng.MAGIC:
        return pcapng.walk, pcapng.begin()
    raise UnreadableInputError(f"{name}: neither pcap nor pcapng")


def _spooled(read: Callable[[int], bytes]) -> tuple[IO[bytes], Fault | None]:
    """Copy what `read` gives into a temporary file; with it comes a fault where the stream was damaged or too long."""
    spool = TemporaryFile()  # noqa: SIM115 - the caller closes it
    size, fault = 0, None
    try:
        while block := read(_BLOCK):
            if size + len(block) > MAX_SPOOL:
                fault = Fault("capture.long", size, f"more than {MAX_SPOOL} bytes; the rest is not read")
                break
            size += spool.write(block)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        fault = Fault("capture.gzip", size, f"damaged gzip data ({error})")
    spool.flush()
    return spool, fault
