"""Segments of the queue on disk, as a crash or a bad disk may leave them."""

from sensors.receive.queue import Record, frame, read_frames


def one(data: bytes) -> None:
    found = list(read_frames(data, 1000))
    at = 1000
    for item in found:
        assert item.at == at < item.next
        at = item.next
        if isinstance(item, Record):
            assert data[item.at - 1000 : item.next - 1000] == frame(item.data)
    assert at == 1000 + len(data)
