"""What is sent to a receiver comes out of its feed; what can't is counted; senders that can wait do."""

import gzip
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sensors.errors import UnreadableInputError
from sensors.receive.feed import Intake, QueueFeed
from sensors.receive.pipe import PipeReceiver
from sensors.receive.push import MAX_BYTES, PushDamagedError, PushFullError, PushReceiver, PushTooLargeError
from sensors.receive.queue import SpillQueue
from sensors.receive.receivers import Receivers
from sensors.receive.udp import UdpReceiver, bind_udp
from sensors.settings import SensorSettings, SourceSettings
from sensors.values import Counters

Receive = Callable[..., Any]
UDP, TCP, TLS = "syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0", "syslog+tls://127.0.0.1:0"


def until(holds: Callable[[], object], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.01)


def test_datagrams_become_lines(receive: Receive) -> None:
    received = receive(UDP)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for data in (b"<13>one", b"<13>two\n", b"<13>a\nb\0", b""):
            sender.sendto(data, ("127.0.0.1", received.port))
    assert received.wait(4) == [b"<13>one", b"<13>two", b"<13>a#012b", b""]


def test_ipv6_is_listened_on(receive: Receive) -> None:
    received = receive("syslog+udp://[::1]:0")
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sender:
        sender.sendto(b"<13>six", ("::1", received.port))
    assert received.wait(1) == [b"<13>six"]


def test_a_flood_of_datagrams_is_kept_or_counted_to_the_last_one(receive: Receive) -> None:
    received = receive(UDP, queue_bytes=1 << 20)
    sent = 30_000
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for number in range(sent):
            sender.sendto(b"<13>%06d " % number + b"x" * 200, ("127.0.0.1", received.port))
        until(lambda: _all_told(received, sent, sender), "each datagram counted")
    assert received.counters.dropped > 0
    numbers = [int(line[4:10]) for line in received.lines if line != b"<13>tick"]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + received.counters.dropped >= sent


def _all_told(received: Any, sent: int, sender: socket.socket) -> bool:
    """Read on; the kernel tells what it dropped with the next datagram, so one more is sent."""
    received.poll()
    received.feed.settle(received.feed.place)
    sender.sendto(b"<13>tick", ("127.0.0.1", received.port))
    real = sum(line != b"<13>tick" for line in received.lines)
    return bool(real + received.counters.dropped >= sent)


def test_a_kernel_that_drops_says_how_many(tmp_path: Path) -> None:
    bound = bind_udp("127.0.0.1", 0)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sent = 2000
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for _ in range(sent):  # nobody reads yet
            sender.sendto(b"<13>" + b"x" * 500, bound.getsockname())
        intake = Intake(SpillQueue(tmp_path / "q", 1 << 22))
        receiver = UdpReceiver(bound, intake, 1024)
        receiver.start()
        counters = Counters()
        feed = QueueFeed(intake, 1024, counters, None)
        lines: list[bytes] = []

        def told() -> bool:
            sender.sendto(b"<13>tick", bound.getsockname())
            lines.extend(line for block in feed.poll() for line in block.lines)
            return counters.dropped > 0

        until(told, "drops told")
        receiver.stop()
        lines.extend(line for block in feed.poll() for line in block.lines)
    assert counters.dropped + sum(line != b"<13>tick" for line in lines) == sent
    feed.close()


def test_streams_counted_and_by_lines(receive: Receive) -> None:
    received = receive(TCP)
    for stream in (b"7 <13>one5 <13>x", b"<13>two\n<13>three\n<13>no end"):
        with closing(socket.create_connection(("127.0.0.1", received.port), timeout=10)) as sender:
            sender.sendall(stream)
    assert sorted(received.wait(5)) == sorted([b"<13>one", b"<13>x", b"<13>two", b"<13>three", b"<13>no end"])


def test_a_stream_that_loses_its_frames_is_ended_with_a_fault(receive: Receive) -> None:
    received = receive(TCP)
    with closing(socket.create_connection(("127.0.0.1", received.port), timeout=10)) as sender:
        sender.sendall(b"7 <13>one9z<13>garbage")
        assert sender.recv(1) == b""
    received.wait(0)
    until(lambda: received.poll() is not None and received.counters.faults, "a fault")
    (fault,) = received.counters.faults
    assert (fault.code, fault.offset, received.counters.malformed) == ("syslog.frame", 9, 1)
    assert received.lines == []  # it came in one piece with the damage


def test_a_message_longer_than_allowed_is_marked_cut_and_costs_nothing_around_it(receive: Receive) -> None:
    received = receive(TCP)
    with closing(socket.create_connection(("127.0.0.1", received.port), timeout=10)) as sender:
        sender.sendall(b"<13>before\n<13>" + b"x" * 100_000 + b"\n<13>after\n")
    assert [line[:10] for line in received.wait(3)] == [b"<13>before", b"<13>xxxxxx", b"<13>after"]
    assert len(received.lines[1]) == 1024


def test_a_full_queue_makes_senders_wait_and_loses_nothing(receive: Receive) -> None:
    received = receive(TCP, queue_bytes=1 << 20)
    lines = [
        b"<13>%06d " % number + b"x" * 500 for number in range(40_000)
    ]  # far more than the queue and the kernel hold
    stream = b"\n".join(lines) + b"\n"
    with closing(socket.create_connection(("127.0.0.1", received.port), timeout=10)) as sender:
        sender.setblocking(False)
        sent = _send_what_goes(sender, stream, quiet_s=1.0)
        assert sent < len(stream)
        while len(received.poll()) < len(lines):
            received.feed.settle(received.feed.place)
            sent += _send_what_goes(sender, stream[sent:], quiet_s=0.01)
    assert received.lines == lines
    assert received.counters.dropped == 0


def _send_what_goes(sender: socket.socket, data: bytes, quiet_s: float) -> int:
    """Send until nothing has gone for a while; return how much went."""
    sent, last = 0, time.monotonic()
    while sent < len(data) and time.monotonic() - last < quiet_s:
        try:
            sent += sender.send(data[sent : sent + 65536])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.005)
    return sent


def make_certificates(folder: Path) -> SourceSettings:
    """Make a CA, and certificates of a server and of a sender, as an operator would."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj")
    openssl("req", "-x509", "-days", "2", *new, "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("localhost", "sender"):
        openssl("req", *new, f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "ext").write_text(f"subjectAltName=DNS:{name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "1", "-extfile", "ext", "-out", f"{name}.pem")  # fmt: skip
    return SourceSettings(
        certificate=str(folder / "localhost.pem"), key=str(folder / "localhost.key"), client_ca=str(folder / "ca.pem")
    )


def test_tls_lets_in_senders_with_a_certificate_and_nobody_else(receive: Receive, tmp_path: Path) -> None:
    received = receive(TLS, make_certificates(tmp_path))

    def send(context: ssl.SSLContext, text: bytes) -> None:
        with (
            socket.create_connection(("127.0.0.1", received.port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as sender,
        ):
            sender.sendall(b"%d %b" % (len(text), text))
            if not sender.recv(1):  # with TLS 1.3 a refusal comes after the handshake
                raise ConnectionAbortedError

    known = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    known.load_cert_chain(tmp_path / "sender.pem", tmp_path / "sender.key")
    stranger = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with pytest.raises(OSError):
        send(stranger, b"<13>stranger")
    with closing(socket.create_connection(("127.0.0.1", received.port), timeout=10)) as plain:
        plain.sendall(b"<13>plain\n")
        plain.settimeout(10)
        try:
            while plain.recv(100):
                pass
        except OSError:
            pass
    with (
        socket.create_connection(("127.0.0.1", received.port), timeout=10) as raw,
        known.wrap_socket(raw, server_hostname="localhost") as sender,
    ):
        sender.sendall(b"9 <13>known")
    assert received.wait(1) == [b"<13>known"]


def test_bodies_are_taken_whole_and_durably_or_not_at_all(tmp_path: Path) -> None:
    intake = Intake(SpillQueue(tmp_path / "q", 1 << 20))
    push = PushReceiver(intake, 1 << 20)
    assert push.take(b"one\ntwo", packed=False) == 2
    assert push.take(gzip.compress(b"three\n"), packed=True) == 1
    assert push.take(b" \n", packed=False) == 0
    for body in (b"no gzip", gzip.compress(b"x" * 1000)[:-9]):
        with pytest.raises(PushDamagedError):
            push.take(body, packed=True)
    with pytest.raises(PushTooLargeError):
        push.take(gzip.compress(b"\0" * (2 * MAX_BYTES)), packed=True)
    while True:
        try:
            push.take(b"x" * 100_000, packed=False)
        except PushFullError:
            break
    feed = QueueFeed(Intake(SpillQueue(tmp_path / "q", 1 << 20)), 1024, Counters(), None)
    lines = [line for block in feed.poll() for line in block.lines]
    assert lines[:3] == [b"one", b"two", b"three"]
    assert {line[:1] for line in lines[3:]} == {b"x"}
    feed.close()
    intake.queue.close()


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    intake = Intake(SpillQueue(tmp_path / "q", 1 << 20))
    receiver = PipeReceiver(reading, intake, 1024)
    receiver.start()
    os.write(writing, b"one\ntw")
    os.write(writing, b"o\n" + b"x" * 5000)
    os.close(writing)
    receiver.join(30)
    feed = QueueFeed(intake, 1024, Counters(), None)
    assert [line[:5] for block in feed.poll() for line in block.lines] == [b"one", b"two", b"xxxxx"]
    feed.close()
    os.close(reading)


def test_a_feed_goes_on_from_any_place_within_a_record(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path / "q", 1 << 22)
    lines = [b"%d" % number for number in range(20_000)]
    for start in range(0, len(lines), 10_000):  # records of more lines than a block has
        assert queue.append([b"\n".join(lines[start : start + 10_000]) + b"\n"])
    queue.close()

    def feed(place: Any) -> QueueFeed:
        return QueueFeed(Intake(SpillQueue(tmp_path / "q", 1 << 22)), 1024, Counters(), place)

    whole = feed(None)
    seen = 0
    for block in whole.poll():
        assert block.first == seen + 1
        seen += len(block.lines)
        rest = feed(whole.place)
        blocks = list(rest.poll())
        assert [line for later in blocks for line in later.lines] == lines[seen:]
        assert not blocks or blocks[0].first == seen + 1
        rest.close()
    assert seen == len(lines)
    whole.close()


def test_damage_in_the_queue_is_a_fault_and_what_is_around_it_is_read(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path / "q", 1 << 22)
    for text in (b"one\n", b"two\n", b"three\n"):
        queue.append([text])
    queue.close()
    (segment,) = (tmp_path / "q").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"two", b"tWo"))
    counters = Counters()
    feed = QueueFeed(Intake(SpillQueue(tmp_path / "q", 1 << 22)), 1024, counters, None)
    assert [line for block in feed.poll() for line in block.lines] == [b"one", b"three"]
    assert [(fault.code, fault.offset) for fault in counters.faults] == [("queue.damaged", 12)]
    feed.close()


@pytest.mark.parametrize(
    "entry",
    ["syslog://x", "syslog+udp://host.example:514", "syslog+tcp://127.0.0.1:99999", "push:a/b", TLS, "syslog+udp://"],
)
def test_an_address_that_is_none_says_so(entry: str, tmp_path: Path) -> None:
    receivers = Receivers(SensorSettings(), tmp_path)
    assert receivers.knows(entry)
    with pytest.raises(UnreadableInputError):
        receivers.open(entry, SourceSettings(), None)
