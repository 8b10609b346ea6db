"""Measure what the record of decisions costs the gate, and what a kill costs the record.

    python -m bench.decisionlog [--decisions 5000] [--rounds 6] [--rate 1000] [--kills 10]

Overhead: the same questions, at a steady rate, are decided with and without handing each decision to the gate's outbox,
in turns; what is handed on goes over a socket to a process that records it (audit log, store, history) as the engine
does, and answers when it is durable. CPU time is what the record costs the gate; wall time shows, too, how the recorder
competes for the machine's cores. Kills: a process records, says what has been taken, and is killed at a random moment;
what it had said is then looked for.
"""

import argparse
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.policy import machine, questions, report, routes
from ostiary.engine import collect_rarely
from ostiary.recorder import Recorder
from ostiary.settings import Settings
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.frames import read_records, unpack
from ostiary.sidecar.outbox import Outbox
from ostiary.state import STORE, State
from ostiary.store import Reader, RunRecord
from policy.bundles import load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine

_HEAD = struct.Struct(">Ic")
BATCH = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=5000, help="per round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--rate", type=int, default=1000, help="decisions a second that are asked for")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        _record_until_killed(options.record)
    print(machine())
    collect_rarely()  # as a service does
    _overhead(options.decisions, options.rounds, options.rate)
    lost, taken = _kills(options.kills)
    print(f"{options.kills} kills: {taken:,} decisions had been taken for the record, {lost} of them were lost")


def _overhead(count: int, rounds: int, rate: int) -> None:
    with tempfile.TemporaryDirectory() as name, _recording(Path(name) / "state") as line:
        folder = Path(name) / "bundle"
        folder.mkdir()
        asked = (routes(folder) * (count // 3_000 + 1))[:count]
        decider = Decider(EmbeddedEngine(load_bundle(folder)))
        outbox = Outbox(Path(name), "gate", bytes(32), Counters())
        log = _Log(outbox, line)

        def recorded(number: int) -> None:
            outbox.add(decider.decide(*asked[number]))
            log.turn(number)

        taken: dict[str, list[tuple[float, float]]] = {"without a record": [], "with a record": []}
        for number in range(rounds):
            for way in sorted(taken, reverse=bool(number % 2)):
                call = recorded if way == "with a record" else lambda n: decider.decide(*asked[n])
                taken[way] += _paced(call, count, rate)
        for place, name in enumerate(("CPU", "wall")):
            print(f"{f'microseconds of {name} a decision':36} {'p50':>9} {'p99':>9} {'per s':>10}")
            p99 = {}
            for way, found in taken.items():
                times = [item[place] for item in found]
                report(way, times)
                p99[way] = times[int(len(times) * 0.99)]
            print(f"the record adds {(p99['with a record'] / p99['without a record'] - 1) * 100:.0f} % to p99")


def _paced(call: Callable[[int], object], count: int, rate: int) -> list[tuple[float, float]]:
    """Return the microseconds of CPU and of wall time of each call, begun at a steady rate as requests come in."""
    taken, began = [], time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        started, cpu = time.perf_counter_ns(), time.thread_time_ns()
        call(number)
        taken.append(((time.thread_time_ns() - cpu) / 1e3, (time.perf_counter_ns() - started) / 1e3))
    return taken


class _Log:
    """Sends what waits, every so often, as the gate's event loop does between two requests."""

    def __init__(self, outbox: Outbox, line: socket.socket) -> None:
        self._outbox, self._line, self._rest = outbox, line, b""
        line.setblocking(False)

    def turn(self, number: int) -> None:
        if number % 250:
            return
        try:
            while len(self._rest) < 1 << 20:
                part = next(self._outbox.frames(), None)
                if part is None:
                    break
                self._rest += part
            while self._rest:
                self._rest = self._rest[self._line.send(self._rest) :]
        except BlockingIOError:
            pass
        with suppress(BlockingIOError):
            self._outbox.taken(len(self._line.recv(65_536)) * 250)


@contextmanager
def _recording(state: Path) -> Iterator[socket.socket]:
    """Run what records; it says one byte for each frame that is durable."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        try:
            _take(theirs, state)
        finally:
            os._exit(0)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _take(line: socket.socket, state_path: Path) -> None:
    settings = Settings(state_dir=str(state_path))
    with State.open(settings) as state, line.makefile("rb") as source:
        recorder = Recorder(state, settings)
        recorder.begin(RunRecord("bench", 1, "service"))
        while head := source.read(_HEAD.size):
            size, _ = _HEAD.unpack(head)
            recorder.decisions(read_records(unpack(source.read(size))))
            line.send(b"+")


def _record_until_killed(path: Path) -> None:
    settings = Settings(state_dir=str(path))
    asked, decider = questions(BATCH), Decider(EmbeddedEngine(load_bundle()))
    with State.open(settings) as state:
        recorder = Recorder(state, settings)
        recorder.begin(RunRecord(str(os.getpid()), 1, "service"))
        while True:
            at = time.time_ns()
            made = [decider.again(decider.decide(*question).document, at + n, "m") for n, question in enumerate(asked)]
            recorder.decisions(made)
            print(os.getpid(), flush=True)


def _kills(count: int) -> tuple[int, int]:
    """Return how many decisions were lost of how many that had been taken."""
    chance, lost, taken = random.Random(5), 0, 0
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "bench.decisionlog", "--record", name]
        for _ in range(count):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout
                said = 1 if process.stdout.readline() else 0
                time.sleep(chance.random())
                process.kill()
                said += len(process.stdout.read().split())
            with Reader.open(Path(name) / STORE) as store:
                held = sum(total.decisions for total in store.totals(str(process.pid)))
            taken += said * BATCH
            lost += max(0, said * BATCH - held)
    return lost, taken


if __name__ == "__main__":
    main()
