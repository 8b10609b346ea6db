"""Spans of the gate's answers within the traces of gateways (W3C Trace Context, OpenTelemetry).

Guarantees: only questions that come within a trace whose gateway samples it make a span; nobody who asks waits for it,
and what a collector does not take is dropped; a span tells of the decision, and nothing of who asked.
"""

import contextlib
import importlib.util
from collections.abc import Callable

from ostiary.errors import MissingExtraError
from policy.gateways.values import Question, Ruling

Traced = Callable[[Question, Ruling, int], None]
"""Takes a question within a trace, the ruling on it, and the instant at which it came (ns)."""
TIMEOUT_S = 5


def check_extra() -> None:
    """Raise `MissingExtraError` where the packages are not installed."""
    if importlib.util.find_spec("opentelemetry") is None:
        raise MissingExtraError("gate.traces needs pip install 'ostiary[otel]'")


def tracer(url: str) -> tuple[Traced, Callable[[], None]]:
    """Return what makes spans for a collector (OTLP over HTTP), and what ends it; `check_extra` was called before.

    To be called in the process that answers: it starts a thread.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    provider = TracerProvider(
        ParentBased(ALWAYS_OFF), Resource.create({"service.name": "ostiary-gate"}), shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    spans, propagator = provider.get_tracer("ostiary"), TraceContextTextMapPropagator()

    def traced(question: Question, ruling: Ruling, began: int) -> None:
        with contextlib.suppress(Exception):  # a trace's trouble is not the client's
            context = propagator.extract({"traceparent": question.trace})
            span = spans.start_span("ostiary.gate", context, start_time=began, attributes=_attributes(question, ruling))
            span.end()

    return traced, provider.shutdown


def _attributes(question: Question, ruling: Ruling) -> dict[str, str | bool]:
    found: dict[str, str | bool] = {
        "ostiary.gateway": question.gateway, "ostiary.allowed": ruling.allowed, "ostiary.enforced": ruling.enforced,
    }  # fmt: skip
    if ruling.code:
        found["ostiary.error"] = ruling.code
    if decision := ruling.decision:
        found["ostiary.decision.id"], found["ostiary.verdict"] = decision.id, decision.verdict.value
        found["ostiary.reasons"] = ",".join(reason.code for reason in decision.reasons)
        found["ostiary.policy.revision"] = decision.policy_revision
    return found
