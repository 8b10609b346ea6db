"""The receiver of security events (SSF, CAEP): `POST /.ostiary/events`, push delivery (RFC 8935).

Guarantees: 202 only once an event is durable and in force here, and every process of this gate will know of it; an
event that comes again is acknowledged and changes nothing; what is refused is answered 400 with a code of the RFC. Both
are counted. Who may send is whoever signs as a transmitter of the settings.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable

from ostiary.identity.stepup import Change
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Request
from policy.errors import CredentialError
from policy.gateways.values import Answer
from policy.identity.events import Transmitters, read_event
from policy.identity.signals import Signals
from policy.identity.values import Signal, SignalKind

PATH = "/.ostiary/events"
KIND = b"application/secevent+jwt"
MAX_UNDER_WAY = 256
_CODES = {
    "identity.token-issuer": "invalid_issuer",
    "identity.token-audience": "invalid_audience",
    "identity.token-key": "invalid_key",
    "identity.token-algorithm": "invalid_key",
    "identity.token-signature": "authentication_failed",
}


class Receiver:
    """Takes events in."""

    def __init__(
        self, change: Change, transmitters: Callable[[], Transmitters], counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._change, self._transmitters = change, transmitters
        self._counters, self._clock = counters, clock
        self._under_way = 0

    async def serve(self, request: Request) -> Answer:
        """Answer a transmitter."""
        if request.method != "POST":
            return Answer(405, ((b"allow", b"POST"),))
        kinds = {value.partition(b";")[0].strip().lower() for name, value in request.headers if name == b"content-type"}
        if kinds != {KIND}:
            return self._refused("invalid_request", f"the content type has to be {KIND.decode()}")
        if self._under_way >= MAX_UNDER_WAY:
            return Answer(503, ((b"retry-after", b"1"),))
        try:
            number, signals = read_event(request.body.decode("ascii").strip(), self._transmitters(), self._clock())
        except UnicodeDecodeError:
            return self._refused("invalid_request", "the body is not a token")
        except CredentialError as error:
            return self._refused(_CODES.get(error.code, "invalid_request"), f"{error} [{error.code}]")
        self._under_way += 1
        try:
            again = await self._again(number, signals)
        finally:
            self._under_way -= 1
        self._counters.add("events_again" if again else "events_taken")
        return Answer(202)

    async def _again(self, number: str, signals: list[Signal]) -> bool:
        """Have an event known unless it was; return whether it was."""
        seen = f"event:{hashlib.sha256(number.encode('utf-8', 'replace')).hexdigest()[:32]}"
        again = False

        def decide(marks: Signals) -> Iterable[Signal]:
            nonlocal again
            again = marks.find(SignalKind.SEEN, seen) is not None
            return [] if again else [*signals, Signal(SignalKind.SEEN, seen, int(self._clock()))]

        await self._change(decide)
        return again

    def _refused(self, code: str, text: str) -> Answer:
        self._counters.add("events_refused")
        body = json.dumps({"err": code, "description": text}).encode()
        return Answer(400, ((b"content-type", b"application/json"), (b"content-language", b"en")), body)
