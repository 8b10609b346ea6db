"""What it costs to read a risk, to take evidence in, to hear labels, and to save and restore the state.

    python -m bench.ledger [--entities N]

Reading is measured on an entity with three reasons of two behaviours, beside N - 1 others, half of which are bound to a
user; once without labels and once with a hundred.
"""

import argparse
import gc
import time
from collections.abc import Callable

import numpy as np

from risk.engine import RiskEngine
from risk.feedback import Feedback
from risk.labels import Case, Label
from risk.relations import Binding, Relation
from risk.settings import RiskSettings
from risk.snapshot import pack, unpack
from risk.values import Contribution, Evidence, Words
from sensors.values import HTTP, Batch, Entity, EntityKind, Kind

NOW = 1_700_000_000_000_000_000
FACTS = (Contribution("pair_ports_600", 44.0, 0.0, 4.0, 1.0),)


def address(number: int) -> Entity:
    """Return an address."""
    return Entity(EntityKind.IP, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")


def evidence(who: Entity, reason: str, weight: float) -> Evidence:
    """Return a piece of evidence."""
    return Evidence(
        NOW,
        who,
        reason.split(".")[0],
        reason,
        "T1046",
        1e-3,
        weight,
        1800.0,
        Words((who, " did it")),
        "",
        FACTS,
        "a",
        1,
    )


def each(what: Callable[[], object], times: int) -> float:
    """Return microseconds of processor time a call, the best of five."""
    best = 1e9
    for _ in range(5):
        started = time.process_time()
        for _ in range(times):
            what()
        best = min(best, (time.process_time() - started) / times * 1e6)
    return best


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--entities", type=int, default=100_000)
    number = parser.parse_args().entities
    engine = RiskEngine(RiskSettings(max_entities=max(1 << 17, number)))
    ledger, who = engine._ledger, address(1)
    reasons = (("scan.vertical", 0.8), ("web.sql", 0.6), ("web.scanner", 0.5))
    for reason, weight in reasons:
        ledger.add(evidence(who, reason, weight))
    started = time.process_time()
    for n in range(2, number):
        ledger.add(evidence(address(n), "auth.failure", 0.07))
    print(f"evidence taken in: {(time.process_time() - started) / (number - 2) * 1e6:.1f} us, {len(ledger):,} entities")
    for n in range(2, number, 2):
        user = Entity(EntityKind.USER, f"user{n}")
        engine._relations.bind(Binding(Relation.USES, user, address(n), NOW))
    bound, stranger = address(2), address(number + 5)
    at = NOW + 60_000_000_000
    labels = [
        Label(str(n), NOW, address(n), n % 2 == 0, (Case("auth.failure", 0.07, (("pair_ports_600", 44.0, 4.0),)),))
        for n in range(1000, 1100)
    ]
    for name, feedback in (("no labels", Feedback()), ("100 labels", Feedback(labels))):
        engine.hear(feedback)
        print(
            f"{name}: risk {each(lambda: engine.risk(who, at), 20_000):.2f} us, of a stranger "
            f"{each(lambda: engine.risk(stranger, at), 20_000):.2f}, with a relation "
            f"{each(lambda: engine.risk(bound, at), 20_000):.2f}; assessment "
            f"{each(lambda: engine.assess(who, at), 5_000):.1f} us"
        )
    started = time.process_time()
    Feedback(labels)
    print(f"100 labels learnt in {(time.process_time() - started) * 1e3:.1f} ms")
    rows = np.zeros(number, HTTP)
    rows["ts"], rows["path"], rows["method"], rows["status"] = NOW + np.arange(number), 1, 2, 404
    rows["orig"] = 3 + np.arange(number)
    texts = ("", "/nothing", "GET", *(address(n).id for n in range(number)))
    engine.observe(Batch(("access.log",), 2**62, {Kind.HTTP: rows}, texts))
    gc.disable()  # as the service does
    started = time.process_time()
    saved = engine.save()
    copied = time.process_time()
    data = pack(saved)
    packed = time.process_time()
    RiskEngine.restored(RiskSettings(max_entities=max(1 << 17, number)), unpack(data))
    print(
        f"state of {number:,} entities and as many log clients: copied in {copied - started:.2f} s, packed in "
        f"{packed - copied:.2f} s ({len(data) / 1e6:.1f} MB), restored in {time.process_time() - packed:.2f} s"
    )


if __name__ == "__main__":
    main()
