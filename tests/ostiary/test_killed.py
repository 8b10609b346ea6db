"""Killed at any time: what was taken for the record is in the store, in the audit log, and in the history."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from compliance.audit.log import AuditLog
from ostiary.followers import HISTORY
from ostiary.recorder import Recorder
from ostiary.settings import Settings
from ostiary.state import AUDIT, STORE, State
from ostiary.store import Reader, RunRecord
from ostiary.store.segments import Segments

BATCH = 20
RECORD = """
import sys
from ostiary.recorder import Recorder
from ostiary.settings import Settings
from ostiary.state import State
from ostiary.store import RunRecord
from policy.bundles import load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.values import AccessRequest, Resource, Subject
from sensors.entities import Entity, EntityKind

round, settings = int(sys.argv[2]), Settings(state_dir=sys.argv[1])
decider = Decider(EmbeddedEngine(load_bundle()))
with State.open(settings) as state:
    recorder = Recorder(state, settings)
    recorder.begin(RunRecord(f"r{round}", round, "service"))
    for batch in range(1_000_000):
        who = Subject(Entity(EntityKind.IP, f"192.0.2.{batch % 250}"))
        times = range(round * 10**15 + batch * 20, round * 10**15 + batch * 20 + 20)
        recorder.decisions([decider.decide(AccessRequest(ts, who, Resource("http", "/")), None) for ts in times])
        print(batch + 1, flush=True)
"""
"""Says how many batches were taken for the record."""


def taken_until_killed(state: Path, round_: int, delay_s: float) -> int:
    """Record in a process until it is killed; return how many decisions it had said were taken."""
    with subprocess.Popen(
        [sys.executable, "-c", RECORD, str(state), str(round_)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(delay_s)  # not waiting for anything: the moment is meant to be any
        os.kill(process.pid, signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines()]
    complete = [line for line in lines if line.strip().isdigit()]
    return int(complete[-1]) * BATCH


def test_nothing_that_was_taken_is_lost(tmp_path: Path, soak: int) -> None:
    chance, state = random.Random(7), tmp_path / "state"
    taken = {round_: taken_until_killed(state, round_, chance.random() * 0.3) for round_ in range(3 * soak)}
    settings = Settings(state_dir=str(state))
    with State.open(settings) as opened:
        recorder = Recorder(opened, settings)
        recorder.begin(RunRecord("last", 10**6, "run"))
        recorder.finish([], [], {})
    with Reader.open(state / STORE) as store:
        for round_, count in taken.items():
            assert sum(total.decisions for total in store.totals(f"r{round_}")) >= count > 0
        newest = store.numbers()[1]
    assert Segments(state / HISTORY).exported() == type(Segments(state / HISTORY).exported())(newest, 0)
    with AuditLog.open(state / AUDIT, settings.compliance.log_origin) as audit:  # it opens, so it is whole
        assert audit.size >= sum(taken.values())
