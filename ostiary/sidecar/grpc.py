"""The gRPC side of the gate: `envoy.service.auth.v3.Authorization/Check` and `grpc.health.v1.Health/Check`.

Runs on the event loop of a process that serves HTTP too; to be imported by that process only, never before a fork.

Guarantees: a call is answered, or fails with UNAVAILABLE where there is no decision, so that Envoy's failure mode
applies; one whose deadline has passed is not decided; at most `MAX_CALLS` are under way and a message has at most
`MAX_MESSAGE` bytes, more is refused (RESOURCE_EXHAUSTED); on `stop` calls under way are answered. Health/Check tells
what /health tells; Watch is not implemented, which clients take for "healthy" (gRFC A17).
"""

import os
import time
from collections.abc import Callable
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # grpcio brings no types, here and below
import grpc.aio  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from ostiary.errors import OstiaryError
from ostiary.sidecar.door import Door
from policy.errors import DialectError
from policy.gateways import envoy_grpc
from policy.gateways.values import Ruling

MAX_CALLS: Final = 1_024
MAX_MESSAGE: Final = 131_072
_OPTIONS: Final = (
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_concurrent_streams", MAX_CALLS),
    ("grpc.max_metadata_size", 16_384),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # Envoy may ask every so often whether we are there
)
_ASKED: Final = f"asked.{envoy_grpc.NAME}"
_STATES: Final = {
    well: health_pb2.HealthCheckResponse(status=status).SerializeToString()
    for well, status in (
        (True, health_pb2.HealthCheckResponse.SERVING),
        (False, health_pb2.HealthCheckResponse.NOT_SERVING),
    )
}
Context = Any  # grpc.aio.ServicerContext, which has no types


class GrpcError(OstiaryError):
    """The address for gRPC cannot be used."""

    code = "gate.grpc"


class Server:
    """Answers gRPC for one process."""

    def __init__(self, door: Door, clock: Callable[[], int] = time.time_ns) -> None:
        """To be made on the running event loop."""
        self._door, self._clock = door, clock
        self._draining = False
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
        # without deserialisers: a message that is none is a question as well, and gets its ruling
        handlers = {
            envoy_grpc.SERVICE: {"Check": grpc.unary_unary_rpc_method_handler(self._check)},
            "grpc.health.v1.Health": {"Check": grpc.unary_unary_rpc_method_handler(self._health)},
        }
        for service, methods in handlers.items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))

    async def start(self, address: str) -> None:
        """Listen; raise `GrpcError`."""
        mask = os.umask(0o117)  # a unix socket is for its owner and group
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise GrpcError(f"{address}: {error}") from error
        finally:
            os.umask(mask)
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no further calls and end when those under way are answered, or the time is over."""
        self._draining = True
        await self._server.stop(grace_s)

    async def _check(self, message: bytes, context: Context) -> bytes:
        began, counters = self._clock(), self._door.counters
        counters.add(_ASKED)
        left_s = context.time_remaining()
        if left_s is not None and left_s <= 0:
            counters.add("questions")
            counters.add("shed")
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "gate.overloaded")
        answer, ruling = await self._answered(message, context, began)
        counters.took((self._clock() - began) / 1e9)
        if answer is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, ruling.code)
        assert answer is not None
        return answer

    async def _answered(self, message: bytes, context: Context, began: int) -> tuple[bytes | None, Ruling]:
        door, told, request = self._door, "", None
        try:
            request = envoy_grpc.parse(message)
            if envoy_grpc.is_network(request):
                told = _route_told(context)
            question = envoy_grpc.read(request, told)
        except DialectError as error:
            place = "" if request is None else envoy_grpc.place_of(request, told)
            ruling = door.unreadable(error.code, place)
        else:
            ruling = await door.rule_async(question, began) if door.waits else door.rule(question, began)
        return envoy_grpc.write(ruling), ruling

    async def _health(self, _message: bytes, _context: Context) -> bytes:
        door = self._door
        well = door.decider is not None and not door.failing and not self._draining
        return bytes(_STATES[well])


def _route_told(context: Context) -> str:
    """Return the route that the gateway's configuration puts into the call's metadata."""
    for name, value in context.invocation_metadata() or ():
        if name == envoy_grpc.ROUTE_METADATA and isinstance(value, str):
            return value
    return ""
