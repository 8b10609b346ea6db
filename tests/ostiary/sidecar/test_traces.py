"""Spans of a real gate, taken by a collector of ours."""

import gzip
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Make = Callable[..., Any]


class Collector(BaseHTTPRequestHandler):
    """Takes what is posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.taken.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def collector() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(port: int, address: str, parent: str) -> str:
    headers = {"X-Real-IP": address, "X-Original-Method": "GET", "X-Ostiary-Route": "/", "traceparent": parent}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/auth-request", headers={name: value for name, value in headers.items() if value})
        answer = connection.getresponse()
        answer.read()
        return answer.getheader("X-Ostiary-Decision", "")


def test_an_answer_is_a_span_below_the_gateways(fed_gate: Make, collector: Any) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    gate = fed_gate(f'mode = "enforce"\ntraces = "http://127.0.0.1:{collector.server_port}"\n', {"192.0.2.66": 0.85})
    decision = ask(gate.port, "192.0.2.66", f"00-{TRACE}-{PARENT}-01")
    for parent in (f"00-{TRACE}-{PARENT}-00", "", "garbage"):  # not sampled, or no trace at all
        assert ask(gate.port, "192.0.2.66", parent)
    assert gate.stop() == 0  # which hands on what waits
    spans = [
        span
        for body in collector.taken
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    (span,) = spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("ostiary.gate", TRACE, PARENT)
    assert span.end_time_unix_nano >= span.start_time_unix_nano
    found = {item.key: item.value.string_value or item.value.bool_value for item in span.attributes}
    assert found.pop("ostiary.policy.revision")
    assert found == {
        "ostiary.gateway": "nginx", "ostiary.allowed": False, "ostiary.enforced": True,
        "ostiary.decision.id": decision, "ostiary.verdict": "deny", "ostiary.reasons": "risk.high",
    }  # fmt: skip
    assert not any(b"192.0.2.66" in body for body in collector.taken)


def test_a_collector_that_is_away_is_nobodys_trouble(fed_gate: Make) -> None:
    gate = fed_gate('traces = "http://127.0.0.1:1"\n', {"192.0.2.66": 0.85})
    assert ask(gate.port, "192.0.2.66", f"00-{TRACE}-{PARENT}-01")
    assert gate.stop() == 0
