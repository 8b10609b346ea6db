"""Decisions told to others: OPA's decision log service, OCSF events in a file, OpenTelemetry.

Each speaks of pseudonyms, as the store does, and of nothing that the masks of the bundle take away. One that cannot be
told raises, and is told again later in the same order; so one may be told twice, never left out.
"""

import gzip
import json
import os
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any  # JSON values, and opentelemetry's own

from ostiary.errors import SettingsError, TellingError
from ostiary.store import ArchivedDecision
from policy.download import is_address
from policy.masking import Masks

TIMEOUT_S = 10.0
Tell = Callable[[Sequence[ArchivedDecision]], None]
_SEVERITY = {"allow": 1, "throttle": 2, "step_up": 2, "deny": 3, "isolate": 4}
"""OCSF: informational, low, medium, high."""
_DISPOSITION = {"allow": (1, 1), "throttle": (1, 1), "step_up": (2, 19), "deny": (2, 2), "isolate": (2, 3)}
"""OCSF action_id and disposition_id: allowed, denied; allowed, challenged (other), blocked, quarantined."""


def destination(where: str) -> tuple[str, str]:
    """Return (kind, target) of a destination of `policy.log_to`; raise `SettingsError`."""
    kind, _, target = where.partition("=")
    if (kind == "ocsf" and target.startswith("/")) or (kind in ("opa", "otlp") and is_address(target)):
        return kind, target
    raise SettingsError(f"policy.log_to: {where!r} is none of opa=URL, ocsf=/FILE, otlp=URL")


def make_tell(where: str, masks: Masks) -> Tell:
    """Return what tells decisions to a destination; raise `SettingsError`."""
    kind, target = destination(where)
    if kind == "ocsf":
        return _ocsf_file(Path(target), masks)
    if kind == "otlp":
        return _otlp(target, masks)
    return lambda decisions: _post(target, [masks.masked(opa_event(item)) for item in decisions])


def opa_event(decision: ArchivedDecision) -> dict[str, Any]:
    """Return a decision as OPA's decision log has it."""
    document = json.loads(decision.document)
    reasons = [{"code": code, "text": text} for code, text in json.loads(decision.reasons)]
    return {
        "labels": {"id": decision.run_id, "app": "ostiary", "version": version("ostiary")},
        "decision_id": decision.id,
        "bundles": {"ostiary": {"revision": decision.policy_revision}},
        "path": "ostiary/decision",
        "input": document,
        "result": {
            "verdict": decision.verdict, "reasons": reasons, "obligations": json.loads(decision.obligations),
            "ttl_s": decision.ttl_s,
        },
        "timestamp": _time(decision.ts),
    }  # fmt: skip


def ocsf_event(decision: ArchivedDecision, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a decision, already masked, as an OCSF 1.3 event: HTTP Activity or Network Activity."""
    document, result = event.get("input", {}), event.get("result", {})
    resource = document.get("resource", {})
    web = resource.get("kind") == "http"
    class_uid = 4002 if web else 4001
    action, disposition = _DISPOSITION[decision.verdict]
    found = {
        "category_uid": 4, "class_uid": class_uid, "activity_id": 99, "activity_name": document.get("action", ""),
        "type_uid": class_uid * 100 + 99, "time": decision.ts // 1_000_000,
        "severity_id": _SEVERITY[decision.verdict], "action_id": action, "disposition_id": disposition,
        "disposition": decision.verdict, "src_endpoint": {"uid": decision.pseudonym},
        "dst_endpoint": {"name": resource.get("name", "")},
        "authorizations": [{
            "decision": decision.verdict,
            "policy": {"name": "ostiary", "version": decision.policy_revision, "desc": _codes(result)},
        }],
        "metadata": {
            "version": "1.3.0", "uid": decision.id, "profiles": ["security_control"],
            "product": {"name": "Ostiary", "vendor_name": "Ostiary", "version": version("ostiary")},
        },
    }  # fmt: skip
    if web:
        found["http_request"] = {"http_method": document.get("action", ""), "url": {"path": resource.get("name", "")}}
    if (risk := document.get("risk", {}).get("risk")) is not None:
        found["risk_score"] = round(risk * 100)
    return found


def _codes(result: Mapping[str, Any]) -> str:
    return ", ".join(str(reason.get("code", "")) for reason in result.get("reasons", []))


def _ocsf_file(path: Path, masks: Masks) -> Tell:
    def tell(decisions: Sequence[ArchivedDecision]) -> None:
        events = (ocsf_event(item, masks.masked(opa_event(item))) for item in decisions)
        lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(lines.encode("utf-8", "replace"))
            file.flush()
            os.fsync(handle)

    return tell


def _post(url: str, events: Sequence[Mapping[str, Any]]) -> None:
    """Post events as OPA does: one gzipped JSON array, to the service's `/logs`."""
    request = urllib.request.Request(  # noqa: S310 - http and https only, see `make_tell`
        f"{url.rstrip('/')}/logs", gzip.compress(json.dumps(events).encode(), 5), method="POST",
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip", "User-Agent": "ostiary"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310 - as above
            pass
    except OSError as error:
        raise TellingError(f"{url} does not take decisions: {error}") from error


def _otlp(url: str, masks: Masks) -> Tell:
    """Return what tells decisions as spans of no length, to a collector's `/v1/traces`."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    except ImportError as error:
        raise SettingsError("policy.log_to: otlp needs pip install 'ostiary[otel]'") from error
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=TIMEOUT_S)
    made = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "ostiary"}))
    provider.add_span_processor(SimpleSpanProcessor(made))
    tracer = provider.get_tracer("ostiary")

    def tell(decisions: Sequence[ArchivedDecision]) -> None:
        made.clear()
        for item in decisions:
            attributes = otel_attributes(item, masks.masked(opa_event(item)))
            tracer.start_span("ostiary.decision", start_time=item.ts, attributes=attributes).end(end_time=item.ts)
        if exporter.export(made.get_finished_spans()) is not SpanExportResult.SUCCESS:
            raise TellingError(f"{url} does not take decisions")

    return tell


def otel_attributes(decision: ArchivedDecision, event: Mapping[str, Any]) -> dict[str, str | float]:
    """Return what a span tells of a decision that is already masked."""
    document = event.get("input", {})
    resource = document.get("resource", {})
    found: dict[str, str | float] = {
        "ostiary.decision.id": decision.id, "ostiary.verdict": decision.verdict, "enduser.id": decision.pseudonym,
        "ostiary.reasons": _codes(event.get("result", {})), "ostiary.policy.revision": decision.policy_revision,
        "ostiary.resource": f"{resource.get('kind', '')} {resource.get('name', '')}".strip(),
        "ostiary.action": str(document.get("action", "")),
    }  # fmt: skip
    if (risk := document.get("risk", {}).get("risk")) is not None:
        found["ostiary.risk"] = float(risk)
    return found


def _time(ts: int) -> str:
    """Return ns since the epoch as RFC 3339, to the nanosecond as OPA does."""
    return f"{datetime.fromtimestamp(ts // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{ts % 1_000_000_000:09d}Z"
