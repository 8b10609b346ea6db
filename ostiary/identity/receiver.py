"""The receiver of security events: `POST /ssf/events` (push delivery, RFC 8935).

Guarantees: 202 only once an event is durable and every process of this gate will know it; an event that comes again is
acknowledged and changes nothing; what is refused is answered 400 with a code of the RFC, and counted. Whoever was
signalled about has their live connections judged again.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable

from ostiary.identity.journal import Journal
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Request
from policy.errors import CredentialError
from policy.gateways.values import Answer
from policy.identity import Identities
from policy.identity.events import Transmitters, read_event
from policy.identity.values import Signal, SignalKind

PATH = "/ssf/events"
KIND = b"application/secevent+jwt"
_CODES = {
    "identity.token-issuer": "invalid_issuer",
    "identity.token-audience": "invalid_audience",
    "identity.token-key": "invalid_key",
    "identity.token-signature": "authentication_failed",
}


class Receiver:
    """Takes events in."""

    def __init__(
        self, identities: Identities, journal: Journal, transmitters: Callable[[], Transmitters], counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._identities, self._journal, self._transmitters = identities, journal, transmitters
        self._counters, self._clock = counters, clock

    async def serve(self, request: Request) -> Answer:
        """Answer a transmitter."""
        kinds = {value.partition(b";")[0].strip().lower() for name, value in request.headers if name == b"content-type"}
        if request.method != "POST" or kinds != {KIND}:
            return self._refused("invalid_request", f"POST a {KIND.decode()}")
        try:
            token = request.body.decode("ascii").strip()
            number, signals = read_event(token, self._transmitters(), self._clock())
        except UnicodeDecodeError:
            return self._refused("invalid_request", "the body is not a token")
        except CredentialError as error:
            return self._refused(_CODES.get(error.code, "invalid_request"), f"{error} [{error.code}]")
        seen = f"event:{hashlib.sha256(number.encode('utf-8', 'replace')).hexdigest()[:32]}"
        if self._identities.signals.find(SignalKind.SEEN, seen) is None:
            told = [*signals, Signal(SignalKind.SEEN, seen, int(self._clock()))]
            await asyncio.to_thread(self._journal.write, told)  # taken in where the journal is polled, as by all others
            self._counters.add("signals")
        return Answer(202)

    def _refused(self, code: str, text: str) -> Answer:
        self._counters.add("bad_signals")
        body = json.dumps({"err": code, "description": text}).encode()
        return Answer(400, ((b"content-type", b"application/json"), (b"content-language", b"en")), body)
