"""The page that Prometheus reads."""

import math
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ostiary.sidecar.counters import BUCKETS_S, CODES, GATEWAYS, PLAIN, Counters
from ostiary.sidecar.metrics import page
from policy.values import Verdict

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(counters: Counters) -> Samples:
    status, kind, body = page(counters)()
    assert (status, kind.partition(b";")[0]) == (200, b"text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_every_number_has_a_name_from_the_start() -> None:
    found = read(Counters())
    names = {name for name, _ in found}
    assert all(name.startswith("ostiary_gate_") for name in names)
    assert {value for (name, _), value in found.items() if name != "ostiary_gate_risks_age_seconds"} == {0.0}
    assert sum(name == "ostiary_gate_questions_total" for name, _ in found) == len(GATEWAYS)
    assert sum(name == "ostiary_gate_decisions_total" for name, _ in found) == 2 * len(Verdict)
    assert sum(name == "ostiary_gate_undecided_total" for name, _ in found) == len(CODES)


def test_what_was_counted_is_told_as_the_sum_over_the_processes() -> None:
    counters = Counters(2)
    for process in (0, 1):
        counters.belong_to(process)
        for name in ("reused", "shed", "connections", "asked.nginx"):
            counters.add(name, process + 1)
        counters.verdict(Verdict.DENY, enforced=True)
        counters.undecided("policy.slow")
        counters.put("risks", 5 + process)
    found = read(counters)
    assert found["ostiary_gate_reused_total", ()] == found["ostiary_gate_shed_total", ()] == 3
    assert found["ostiary_gate_connections", ()] == 3
    assert found["ostiary_gate_questions_total", (("gateway", "nginx"),)] == 3
    assert found["ostiary_gate_decisions_total", (("mode", "enforced"), ("verdict", "deny"))] == 2
    assert found["ostiary_gate_undecided_total", (("code", "policy.slow"),)] == 2
    assert found["ostiary_gate_risks", ()] == 6  # each process knows all of them


def test_the_histogram_adds_up() -> None:
    counters = Counters(2)
    took = [0.0, 0.0001, 0.0002, 0.03, 0.03, 7.0]
    for number, seconds in enumerate(took):
        counters.belong_to(number % 2)
        counters.took(seconds)
    found = read(counters)
    below = [found["ostiary_gate_took_seconds_bucket", (("le", str(bound)),)] for bound in BUCKETS_S]
    assert below == [sum(seconds <= bound for seconds in took) for bound in BUCKETS_S]
    infinite = found["ostiary_gate_took_seconds_bucket", (("le", "+Inf"),)]
    assert infinite == found["ostiary_gate_took_seconds_count", ()] == len(took)
    assert found["ostiary_gate_took_seconds_sum", ()] == pytest.approx(sum(took))


def test_the_age_of_risks_is_that_of_the_process_that_heard_longest_ago() -> None:
    counters = Counters(2)
    counters.put("synced_ns", time.time_ns())
    assert math.isnan(read(counters)["ostiary_gate_risks_age_seconds", ()])  # the other has heard nothing yet
    counters.belong_to(1)
    counters.put("synced_ns", time.time_ns() - 3_600_000_000_000)
    assert read(counters)["ostiary_gate_risks_age_seconds", ()] >= 3600


def test_whatever_is_counted_for_operators_is_told() -> None:
    """All but what the processes tell each other."""
    counters = Counters()
    for place, name in enumerate(PLAIN):
        counters.put(name, 1_000 + place)
    told = set(read(counters).values())
    hidden = {"questions", "took_ns", "synced_ns", "handed_on", "taken", "closing_ns"}
    assert {1_000 + place for place, name in enumerate(PLAIN) if name not in hidden} <= told
