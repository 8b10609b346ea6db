"""The thread that judges in a service, and the only one that writes to the state directory.

Guarantees: batches are judged as they come, all that has come in at once together and in event order; decisions are
recorded before the gate hears of them, actions before they are taken; decisions that the gate made are recorded within
`PAUSE_S`; commands run between batches. A failure is handed to whoever waits for `failed`.
"""

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from compliance.errors import UnknownSubjectError
from ostiary.board import RiskBoard
from ostiary.engine import Engine, collect_rarely, make_decider
from ostiary.recorder import Recorder
from ostiary.running import never_list, source_report
from ostiary.settings import Settings, settings_digest
from ostiary.state import State
from ostiary.store import ActionRecord, RunRecord
from ostiary.summary import Summary
from ostiary.warm import warm_up
from policy.values import Decision
from response.ports import Actuator
from response.responder import Responder
from risk.engine import RiskEngine
from sensors.merge import END_OF_TIME, join
from sensors.values import Batch, Source

PAUSE_S = 0.05
QUEUED = 256
"""Batches, decisions and commands that may wait; a sensor waits when it is full, the gate counts a lost record."""

T = TypeVar("T")


class EngineWorker(threading.Thread):
    """Judges what sensor threads bring in; see the module."""

    def __init__(self, settings: Settings, sources: Sequence[Source], actuator: Actuator | None) -> None:
        super().__init__(name="engine", daemon=True)
        self._settings, self._sources, self._actuator = settings, sources, actuator
        self._batches: queue.Queue[tuple[int, Batch]] = queue.Queue(QUEUED)
        self._decisions: queue.Queue[Decision] = queue.Queue(QUEUED * 64)
        self._commands: queue.Queue[Callable[[Context], None]] = queue.Queue(QUEUED)
        self._stopping = threading.Event()
        self.ready: Future[RiskBoard] = Future()
        self.failed: Future[None] = Future()

    def stop(self) -> None:
        """End after what is queued; `join` waits for it."""
        self._stopping.set()

    def decided(self, decision: Decision) -> None:
        """Take a decision of the gate for the record; raise `queue.Full` where the record cannot keep up."""
        self._decisions.put_nowait(decision)

    def call(self, command: Callable[["Context"], T]) -> Future[T]:
        """Run something between two batches, with the engine and the state at hand."""
        answer: Future[T] = Future()

        def run(context: Context) -> None:
            try:
                answer.set_result(command(context))
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                answer.set_exception(error)

        self._commands.put(run, timeout=5)
        return answer

    def run(self) -> None:
        """Be the engine until stopped."""
        try:
            with State.open(self._settings) as state:
                self._serve(Context(self._settings, state, self._actuator))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits; a policy engine's panic is one, too
            for waiting in (self.ready, self.failed):
                if not waiting.done():
                    waiting.set_exception(error)

    def _serve(self, context: "Context") -> None:
        feeders = [threading.Thread(target=self._feed, args=item, daemon=True) for item in enumerate(self._sources)]
        collect_rarely()
        warm_up(self._settings)
        context.begin()
        for feeder in feeders:
            feeder.start()
        self.ready.set_result(context.board)
        while not self._stopping.is_set():
            self._turn(context)
        for feeder in feeders:
            feeder.join(timeout=2)
        self._turn(context)
        context.finish(self._sources)

    def _feed(self, index: int, source: Source) -> None:
        try:
            for batch in source.batches(self._stopping.is_set):
                while len(batch):
                    try:
                        self._batches.put((index, batch), timeout=0.2)
                        break
                    except queue.Full:  # the engine is slower than this source: wait, don't pile up
                        if self._stopping.is_set():
                            source.counters.dropped += len(batch)
                            break
        except Exception as error:  # noqa: BLE001 - a source that fails ends the service
            if not self.failed.done():
                self.failed.set_exception(error)

    def _turn(self, context: "Context") -> None:
        parts = _taken(self._batches, PAUSE_S)
        if parts:
            names = [source.name for source in self._sources]
            context.judge(join(names, parts, END_OF_TIME))
        decisions = _taken(self._decisions, 0)
        if decisions:
            context.recorder.decisions(decisions)
        for command in _taken(self._commands, 0):
            command(context)
        context.engine.responder.expire(time.time_ns())


class Context:
    """What the engine thread works with."""

    def __init__(self, settings: Settings, state: State, actuator: Actuator | None) -> None:
        self.settings, self.state, self._actuator = settings, state, actuator
        self.recorder = Recorder(state, settings)
        self.engine = Engine(RiskEngine(settings.risk), make_decider(settings, limited=True), self._responder())
        self.board = RiskBoard(self.engine.risk)

    def begin(self) -> None:
        """Open the service's run in the records."""
        now = time.time_ns()
        digest, policy, model = settings_digest(self.settings), self.engine.decider.revision, self.engine.risk.revision
        run_id = hashlib.sha256(f"service\0{digest}\0{now}".encode()).hexdigest()[:16]
        self.recorder.begin(RunRecord(run_id, now, "service", (), digest, policy, model))
        self.engine.responder.adopt(self.recorder.standing(), now)

    def judge(self, batch: Batch) -> None:
        """Carry one batch through the house."""
        with self.board.working():
            outcomes = self.engine.decide(batch)
        self.recorder.outcomes(outcomes)
        self.board.publish([outcome.finding for outcome in outcomes])
        self.engine.act(outcomes, time.time_ns())
        self.recorder.flush()
        summary = Summary()
        summary.add(outcomes)
        self.recorder.entities(summary.lines())

    def replace_settings(self, settings: Settings) -> None:
        """Go on with new settings of policy and response; nothing changes where they are refused."""
        decider = make_decider(settings, limited=True)
        old, self.settings = self.settings, settings
        try:
            if settings.response != old.response:
                responder = self._responder()
                responder.adopt(self.engine.responder.active(), time.time_ns())
                self.engine.responder = responder
        except BaseException:
            self.settings = old
            raise
        self.engine.decider = decider
        self.recorder.activated(settings, decider.revision)

    def undo(self, action_id: str, actor: str) -> ActionRecord | None:
        """Undo an action for somebody; None where there is none, or nothing (any more) to undo."""
        self.recorder.asked("undo", actor, {"action": action_id})
        for action in self.engine.responder.active():
            if self.recorder.action(action).id == action_id:
                undone = self.engine.responder.undo(action.id)
                return self.recorder.action(undone) if undone else None
        return None

    def reveal(self, pseudonym: str, purpose: str, actor: str) -> str | None:
        """Return who a pseudonym stands for, after that was written down; None where nobody is known."""
        try:
            entity = self.state.vault.find(pseudonym)
        except UnknownSubjectError:
            return None
        self.recorder.asked("reveal", actor, {"subjects": [self.state.vault.commitment(entity)]}, purpose)
        return entity.id

    def finish(self, sources: Sequence[Source]) -> None:
        """Close the service's run in the records."""
        self.recorder.finish([], [source_report(source) for source in sources], self.engine.risk.counts())

    def _responder(self) -> Responder:
        return Responder(self.settings.response, self._actuator, never_list(self.settings, live=True), self.recorder)


def _taken(waiting: "queue.Queue[Any]", timeout: float) -> list[Any]:
    """Return all that waits in a queue, after waiting up to `timeout` seconds for the first."""
    taken: list[Any] = []
    try:
        taken.append(waiting.get(timeout=timeout) if timeout else waiting.get_nowait())
        while True:
            taken.append(waiting.get_nowait())
    except queue.Empty:
        return taken
