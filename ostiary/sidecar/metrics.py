"""What the gate tells Prometheus: the sums over its processes, read when they are asked for."""

import time
from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from ostiary.sidecar.counters import BUCKETS_S, CODES, CREDENTIALS, GATEWAYS, Counters
from ostiary.sidecar.http import Page
from policy.values import Verdict

_PLAIN = {
    "reused": "Questions answered from a decision that still held",
    "refused": "Questions that were refused",
    "over": "Questions of throttled subjects beyond their share",
    "shed": "Questions answered as declared for want of time",
    "unrecorded": "Decisions that the record could not take",
    "spilled": "Records that went over the disk",
    "connections_refused": "Connections refused for their number",
    "slow_clients": "Connections ended because their client was too slow",
    "bad_http": "Connections ended because they did not speak the protocol",
    "bad_spoe": "Connections of HAProxy's ended because they did not speak the protocol",
    "restarts": "Processes started again",
    "feed_lost": "Connections to the engine that ended",
    "step_ups": "Subjects that proved themselves anew",
    "logins_refused": "Logins at the provider that could not be taken",
    "wrong_codes": "Codes at the gate's own page that were wrong, used already, or not looked at",
    "events_taken": "Security events of others that were taken in",
    "events_again": "Security events that came again",
    "events_refused": "Security events that were refused",
    "closed": "Live connections closed because their subject is no longer let in",
    "bad_pages": "Pages of the gate's own that could not be answered",
}
_STATES = {
    "connections": "Open connections of gateways",
    "connections_spoe": "Open connections of HAProxy's",
    "waiting_records": "Records in memory that are not durable yet",
}


class _Gate(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        total = self._counters.total
        asked = CounterMetricFamily("ostiary_gate_questions", "Questions of gateways", labels=["gateway"])
        for gateway in GATEWAYS:
            asked.add_metric([gateway], total(f"asked.{gateway}"))
        yield asked
        decided = CounterMetricFamily("ostiary_gate_decisions", "Decisions", labels=["verdict", "mode"])
        for verdict in Verdict:
            for mode in ("enforced", "observed"):
                decided.add_metric([verdict.value, mode], total(f"{mode}.{verdict.value}"))
        yield decided
        undecided = CounterMetricFamily("ostiary_gate_undecided", "Questions without a decision", labels=["code"])
        for code in CODES:
            undecided.add_metric([code], total(f"undecided.{code}"))
        yield undecided
        refused = CounterMetricFamily(
            "ostiary_gate_credentials_refused", "Credentials that prove nothing", labels=["code"]
        )
        for code in CREDENTIALS:
            refused.add_metric([code], total(f"credential.{code}"))
        yield refused
        for name, text in _PLAIN.items():
            yield CounterMetricFamily(f"ostiary_gate_{name}", text, value=total(name))
        for name, text in _STATES.items():
            yield GaugeMetricFamily(f"ostiary_gate_{name}", text, value=total(name))
        yield GaugeMetricFamily("ostiary_gate_risks", "Entities with a risk", value=max(self._counters.each("risks")))
        synced = min(self._counters.each("synced_ns"))
        age = time.time() - synced / 1e9 if synced else float("nan")
        yield GaugeMetricFamily("ostiary_gate_risks_age_seconds", "Age of what is known of risks", value=age)
        closing = "From a change that the gate hears of to closed connections"
        closings, spent_s = total("closings"), total("closing_ns") / 1e9
        yield SummaryMetricFamily("ostiary_gate_closing_seconds", closing, count_value=closings, sum_value=spent_s)
        yield self._took()

    def _took(self) -> Metric:
        buckets, below = [], 0
        for number in range(len(BUCKETS_S) + 1):
            below += self._counters.total(f"took.{number}")
            bound = str(BUCKETS_S[number]) if number < len(BUCKETS_S) else "+Inf"
            buckets.append((bound, below))
        family = HistogramMetricFamily("ostiary_gate_took_seconds", "What an answer took, within the gate")
        family.add_metric([], buckets, self._counters.total("took_ns") / 1e9)
        return family


def page(counters: Counters) -> Page:
    """Return the page that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Gate(counters))
    return lambda: (200, b"text/plain; version=0.0.4; charset=utf-8", generate_latest(registry))
