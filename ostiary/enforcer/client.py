"""The engine's side: an actuator that asks the enforcer.

Guarantees: no call waits longer than its time limit; whatever goes wrong is an `ActuatorError`, and what a guard of the
enforcer refuses is a `RefusedError`. One connection a request: nothing to repair when the enforcer is restarted.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ostiary.enforcer.protocol import (
    MAX_ANSWER_BYTES,
    Answer,
    Apply,
    Close,
    List,
    Ping,
    Request,
    Teardown,
    Undo,
    encode,
    read_answer,
)
from response.errors import ActuatorError, CapabilityError, EnforcerDownError, EnforcerProtocolError, RefusedError
from sensors.values import Entity, EntityKind

TIMEOUT_S = 10.0
"""Longer than the enforcer's own limits for what it runs."""


class EnforcerClient:
    """An `Actuator` that is the enforcer at a unix socket."""

    name = "nftables"

    def __init__(self, socket_path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._timeout_s = socket_path, timeout_s

    def apply(self, target: Entity, lease_s: float) -> None:
        """Have `target` cut off for `lease_s` seconds."""
        self._ask(Apply(target=target.id, lease_s=lease_s))

    def undo(self, target: Entity) -> bool:
        """Have `target` let in again; return whether it was cut off."""
        return self._ask(Undo(target=target.id)).undone

    def close(self, target: Entity) -> int:
        """Have connections of `target` with this machine ended; return how many."""
        return self._ask(Close(target=target.id)).closed

    def active(self) -> Sequence[tuple[Entity, float]]:
        """Return who is cut off, with the seconds left."""
        return [(Entity(EntityKind.IP, target), left) for target, left in self._ask(List()).active]

    def teardown(self) -> None:
        """Have everything undone."""
        self._ask(Teardown())

    def ping(self) -> None:
        """Raise `ActuatorError` unless the enforcer is there and hears us."""
        self._ask(Ping())

    def _ask(self, request: Request) -> Answer:
        answer = read_answer(self._exchange(encode(request)))
        if answer.ok:
            return answer
        if answer.code == RefusedError.code:
            raise RefusedError(answer.reason, answer.text)
        known: dict[str, type[ActuatorError]] = {e.code: e for e in (CapabilityError, EnforcerProtocolError)}
        raise known.get(answer.code, ActuatorError)(f"the enforcer: {answer.text}")

    def _exchange(self, line: bytes) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout_s)
                connection.connect(str(self._path))
                with suppress(BrokenPipeError):  # it may have refused us before it heard us: its answer says why
                    connection.sendall(line)
                with connection.makefile("rb") as stream:
                    answer = stream.readline(MAX_ANSWER_BYTES)
        except OSError as error:
            raise EnforcerDownError(f"no enforcer answers at {self._path}: {error.strerror or error}") from error
        if not answer.endswith(b"\n"):
            raise EnforcerDownError("the enforcer ended the connection without an answer")
        return answer
