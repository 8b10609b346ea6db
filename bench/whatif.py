"""Measure `ostiary policy what-if`: a history of decisions, and another policy put to all of it on all cores.

    python -m bench.whatif [--decisions 1000000] [--entities 20000] [--processes 2] [--state DIR]

It makes a state directory with recorded decisions (through the store and the vault, as the service does), then compares
them with the shipped policy under another threshold. Only the comparison is timed. Wall time moves with the load of the
machine; the CPU time of one decision, on a small history in one process, hardly does.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from bench.policy import NOW, machine
from ostiary.recorder import Recorder
from ostiary.replay import Replay, replay
from ostiary.settings import Settings
from ostiary.state import STORE, State
from ostiary.store import RunRecord
from policy.bundles import Bundle, load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.patch import patched, thresholds
from policy.values import AccessRequest, Resource, Subject
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

PART = 5_000
ROUTES = [f"/app{number}/" for number in range(200)]


def record(directory: Path, count: int, entities: int) -> None:
    """Fill a state directory: decisions on requests with every kind of resource and of risk."""
    chance = random.Random(1)
    settings = Settings(state_dir=str(directory), max_decisions=count + 1)
    decider = Decider(EmbeddedEngine(load_bundle()))
    with State.open(settings) as state:
        recorder = Recorder(state, settings)
        recorder.begin(RunRecord("bench", NOW, "run"))
        for first in range(0, count, PART):
            made = []
            for number in range(first, min(first + PART, count)):
                who = Entity(EntityKind.IP, f"10.{chance.randrange(entities) >> 8}.{chance.randrange(256)}.7")
                resource = Resource("http", chance.choice(ROUTES), chance.choice(["public", "normal", "sensitive"]))
                request = AccessRequest(NOW + number, Subject(who), resource, "GET", {"gateway": "nginx"})
                risk = Assessment(
                    NOW, who, round(chance.random(), 4), Level.HIGH, 0.7, 3.0, 600.0, ("scan.vertical",), (), {}, "m"
                )
                made.append(decider.decide(request, risk if chance.random() < 0.8 else None))
            recorder.decisions(made)


def report_cpu(proposed: Bundle, entities: int, count: int = 20_000) -> None:
    """Print the CPU time of a decision."""
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), count, entities)
        for plain in (False, True):
            started = time.process_time()
            replay(Replay(Path(folder), proposed, plain=plain), processes=1)
            taken = (time.process_time() - started) / count * 1e6
            print(f"{'plain names' if plain else 'pseudonyms':12} {taken:.0f} us of CPU a decision")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--entities", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=0, help="0: one a core")
    parser.add_argument("--state", type=Path, help="keep the history in this directory, and take it where there is one")
    options = parser.parse_args()
    bundle = load_bundle()
    proposed = patched(bundle, thresholds(bundle, {"high": 0.6}))
    with tempfile.TemporaryDirectory() as made:
        folder = options.state or Path(made)
        started = time.perf_counter()
        if not (folder / STORE).exists():
            record(folder, options.decisions, options.entities)
        print(f"{machine()}; recorded {options.decisions:,} in {time.perf_counter() - started:.0f} s")
        report_cpu(proposed, options.entities)
        for plain in (False, True):
            started = time.perf_counter()
            found = replay(Replay(folder, proposed, plain=plain), processes=options.processes)
            took = time.perf_counter() - started
            print(
                f"{'plain names' if plain else 'pseudonyms':12} {found.decisions:,} decisions in {took:.1f} s, "
                f"{found.decisions / took:,.0f} a second; {found.newly_denied.decisions:,} newly denied on "
                f"{len(found.newly_denied.people):,}"
            )


if __name__ == "__main__":
    main()
