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
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO, Protocol

import numpy as np

from sensors.errors import UnreadableInputError
from sensors.packets import pcap, pcapng
from sensors.packets.columns import Bytes, Numbers
from sensors.packets.pipeline import Pipeline
from sensors.settings import SensorSettings
from sensors.values import Batch, Counters, Fault, Rows, never

MAX_SPOOL = 8 << 30
_BLOCK = 1 << 20


class Walk(Protocol):
    """Fill packets with the next frames of the data; return how many."""

    def __call__(self, data: Bytes, state: Numbers, packets: Rows, faults: Rows, noted: Numbers) -> int: ...


class CaptureSource:
    """A capture file as a source; its flows, DNS questions and HTTP requests in batches of `chunk` packets."""

    format = "pcap"

    def __init__(self, stream: IO[bytes], name: str, settings: SensorSettings, *, chunk: int = 1 << 16) -> None:
        """Take over an opened, uncompressed capture; raise `UnreadableInputError` where it is none."""
        self.name = name
        self.counters = Counters()
        self._data = _mapped(stream, name)
        self.size = int(self._data.size)
        self._chunk = chunk
        self._walk, self._state = _walker(self._data, name)
        self._pipeline = Pipeline(name, settings, self.counters, secrets.randbits(63))

    @classmethod
    def open(cls, path: Path, name: str, settings: SensorSettings) -> "CaptureSource":
        """Open a capture file; raise `UnreadableInputError` where it cannot be read or is none."""
        try:
            stream = path.open("rb")
            if stream.read(2) == b"\x1f\x8b":
                stream.seek(0)
                return cls.from_stream(gzip.open(stream), name, settings)  # type: ignore[arg-type]  # a GzipFile reads bytes
        except OSError as error:
            raise UnreadableInputError(f"{name}: {error.strerror or error}") from error
        return cls(stream, name, settings)

    @classmethod
    def from_stream(cls, stream: BinaryIO, name: str, settings: SensorSettings) -> "CaptureSource":
        """Read a capture from a pipe or other stream to its end (at most `MAX_SPOOL` bytes), then as from a file."""
        spool = TemporaryFile()  # noqa: SIM115 - it lives as long as the source
        fault = _spooled(stream, spool)
        source = cls(spool, name, settings)
        if fault is not None:
            source.counters.read += 1
            source.counters.fault(fault)
        return source

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield batches in event time; at the end, or when stopped, a last one with the ends of all flows."""
        pipeline, log = self._pipeline, self._pipeline.log
        while self._state[pcap.POSITION] < self._data.size and not stop():
            count = self._walk(self._data, self._state, pipeline.packets[: self._chunk], log.faults, log.noted)
            self.counters.read += log.drain(self.counters)
            if count:
                yield pipeline.feed(self._data, count)
        yield pipeline.finish()

    def frames(self) -> Iterator[tuple[np.void, bytes]]:
        """Yield each packet (a row of `PACKET`, up to `link`) with a copy of its bytes, instead of `batches`; slow."""
        packets, log = self._pipeline.packets, self._pipeline.log
        while self._state[pcap.POSITION] < self._data.size:
            count = self._walk(self._data, self._state, packets[: self._chunk], log.faults, log.noted)
            log.drain(self.counters)
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


def _spooled(stream: BinaryIO, spool: IO[bytes]) -> Fault | None:
    """Copy the stream; return a fault where it was damaged or too long. What came before is kept."""
    size = 0
    try:
        while block := stream.read(_BLOCK):
            if size + len(block) > MAX_SPOOL:
                return Fault("capture.long", size, f"more than {MAX_SPOOL} bytes; the rest is not read")
            size += spool.write(block)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return Fault("capture.gzip", size, f"damaged gzip data ({error})")
    finally:
        spool.flush()
    return None
