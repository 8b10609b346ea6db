"""Packet captures: pcap and pcapng."""

from sensors.registry import Format, Input
from sensors.values import Source

_MAGICS = (
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\xcd\x34",
    b"\x34\xcd\xb2\xa1",
    b"\x0a\x0d\x0d\x0a",
)


def _recognise(head: bytes, name: str) -> int:
    return 100 if head.startswith(_MAGICS) else 0


def _open(item: Input) -> Source:
    from sensors.packets.capture import CaptureSource  # the kernels are heavy

    return CaptureSource.open(item.path, item.name, item.settings)


FORMAT = Format("pcap", "packet captures (pcap, pcapng; gzip too)", _recognise, _open)
