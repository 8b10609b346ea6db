"""Lines that are handed in whole, as the body of an HTTP request: all of them are taken, durably, or none.

Guarantees: when `take` returns, the lines are on the disk and survive a crash; a body that can't be taken changes
nothing. A gzip body is inflated to at most `MAX_BYTES`.
"""

import zlib

from sensors.errors import SensorError
from sensors.receive.feed import Intake

MAX_BYTES = 16 << 20


class PushError(SensorError):
    """A body that can't be taken.

    PushError                   push.error
    ├── PushDamagedError        push.damaged    it isn't the gzip that it says it is
    ├── PushTooLargeError       push.too-large  more than `MAX_BYTES`, or than half of the queue
    └── PushFullError           push.full       there is no room now; it may be sent again later
    """

    code = "push.error"


class PushDamagedError(PushError):
    """The body isn't gzip, or ends too early."""

    code = "push.damaged"


class PushTooLargeError(PushError):
    """The body is too large for any time."""

    code = "push.too-large"


class PushFullError(PushError):
    """The queue is full: those who judge are slower than those who send."""

    code = "push.full"


class PushReceiver:
    """Takes bodies for one queue; any thread may call it."""

    def __init__(self, intake: Intake, queue_bytes: int) -> None:
        self._intake, self._most = intake, min(MAX_BYTES, queue_bytes // 2)

    def take(self, body: bytes, packed: bool) -> int:
        """Take a body of lines; return how many there are; raise `PushError`."""
        plain = self._inflated(body) if packed else body
        if len(plain) > self._most:
            raise PushTooLargeError(f"a body may have {self._most} bytes")
        if not plain.strip():
            return 0
        record = plain if plain.endswith(b"\n") else plain + b"\n"
        try:
            taken = self._intake.queue.append([record], durable=True)
        except OSError as error:
            raise PushFullError(f"the queue can't be written: {error.strerror}") from error
        if not taken:
            raise PushFullError("the queue is full")
        return record.count(b"\n")

    def _inflated(self, body: bytes) -> bytes:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            plain = member.decompress(body, self._most + 1)
        except zlib.error as error:
            raise PushDamagedError("the body isn't gzip") from error
        if not member.eof and len(plain) <= self._most:
            raise PushDamagedError("the gzip data end too early")
        return plain

    def stop(self) -> None:
        """Nothing runs here."""
