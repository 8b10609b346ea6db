"""The thread that judges in a service, and the only one that writes to the state directory.

Guarantees: batches are judged as they come, all that has come in at once together and in event order; decisions are
recorded before the gate hears of them, actions before they are taken; decisions that the gate made are recorded within
`PAUSE_S`, and told to be only then; commands run between batches. A failure is handed to whoever waits for `failed`.
"""

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from compliance.errors import UnknownSubjectError
from ostiary.countries import countries
from ostiary.deciding import limited, make_decider
from ostiary.deep import DeepLooks
from ostiary.enforcer import EnforcerClient
from ostiary.engine import Engine, collect_rarely
from ostiary.feeding import QUEUED as QUEUED_BATCHES
from ostiary.feeding import Feeders
from ostiary.keeping import Keeper, describe
from ostiary.pace import Pace
from ostiary.recorder import Recorder
from ostiary.referring import site_reference
from ostiary.running import never_list
from ostiary.settings import Settings, settings_digest
from ostiary.sidecar.feed import News
from ostiary.standing import Standing
from ostiary.state import State
from ostiary.store import ActionRecord, RunRecord
from ostiary.summary import Summary, beside_normal
from ostiary.teaching import Teacher
from ostiary.warm import warm_up
from policy.values import Decision
from response.actuators.haproxy import HaproxyCloser
from response.closing import Closing
from response.ports import Actuator, Closer
from response.responder import Responder
from sensors.addresses import host_entity
from sensors.logs.watch import Watch
from sensors.merge import END_OF_TIME, join
from sensors.values import Batch, Entity, Source

PAUSE_S = 0.05
NEIGHBOURS_OF = 4
"""Entities of a batch that are compared with normal ones, the riskiest."""
QUEUED = 256
"""Commands that may wait."""

T = TypeVar("T")


class EngineWorker(threading.Thread):
    """Judges what sensor threads bring in; see the module."""

    def __init__(
        self, settings: Settings, sources: Sequence[Source], actuator: Actuator | None, watch: Watch | None = None
    ) -> None:
        super().__init__(name="engine", daemon=True)
        self._settings, self._actuator = settings, actuator
        self.feeders = Feeders(sources, watch, self._fail)
        self._decisions: queue.Queue[tuple[Sequence[Decision], Future[None]]] = queue.Queue()
        self._commands: queue.Queue[Callable[[Context], None]] = queue.Queue(QUEUED)
        self._stopping = threading.Event()
        self.ready: Future[None] = Future()
        self.told: Callable[[News], None] = _nobody
        """Hears what is new of risks; set it once ready, then ask for everything by a command."""
        self.began = ""
        """How the model began; said once it is ready."""
        self.failed: Future[None] = Future()
        self.behind: Callable[[], Sequence[str]] = tuple
        """What follows the record and cannot do its work now."""

    def stop(self) -> None:
        """End after what is queued; `join` waits for it."""
        self._stopping.set()

    def record(self, decisions: Sequence[Decision]) -> Future[None]:
        """Take decisions of a gate for the record; what is returned is done when they are durable.

        The gate bounds how many wait: it sends no more until these are done.
        """
        recorded: Future[None] = Future()
        self._decisions.put((decisions, recorded))
        return recorded

    def call(self, command: Callable[["Context"], T]) -> Future[T]:
        """Run something between two batches, with the engine and the state at hand."""
        answer: Future[T] = Future()

        def run(context: Context) -> None:
            asked = answer.set_running_or_notify_cancel()  # else whoever asked has gone, and it is done all the same
            try:
                done = command(context)
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                if asked:
                    answer.set_exception(error)
            else:
                if asked:
                    answer.set_result(done)

        self._commands.put(run, timeout=5)
        return answer

    def run(self) -> None:
        """Be the engine until stopped."""
        try:
            with State.open(self._settings) as state:
                self._serve(Context(self._settings, state, self._actuator, self.feeders))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits; a policy engine's panic is one, too
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        for waiting in (self.ready, self.failed):
            if not waiting.done():
                waiting.set_exception(error)

    def _serve(self, context: "Context") -> None:
        collect_rarely()
        warm_up(self._settings)
        context.begin()
        self.began = context.keeper.began
        self.behind = context.recorder.behind
        self.feeders.start()
        self.ready.set_result(None)
        while not self._stopping.is_set():
            self._turn(context)
        self.feeders.stop()
        while self._turn(context):
            pass
        context.finish()
        self.feeders.close()

    def _turn(self, context: "Context") -> bool:
        """Judge and record what has come in; return whether batches had."""
        parts = self.feeders.take(0 if self._stopping.is_set() else PAUSE_S)
        if parts:
            context.judge([source.name for source in tuple(self.feeders.sources)], parts, self.told)
        batches = _taken(self._decisions)
        if batches:
            context.recorder.decisions([decision for batch, _ in batches for decision in batch])
            for _, recorded in batches:
                if recorded.set_running_or_notify_cancel():  # else the gate has gone
                    recorded.set_result(None)
        for command in _taken(self._commands):
            command(context)
        context.recorder.deep_looks(context.deep.take())
        context.teacher.turn()
        context.tell(self.told)
        context.keep_standing()
        context.keep_state()
        context.engine.responder.expire(time.time_ns())
        return bool(parts)


class Context:
    """What the engine thread works with."""

    def __init__(self, settings: Settings, state: State, actuator: Actuator | None, feeders: Feeders) -> None:
        self.settings, self.state, self._actuator = settings, state, actuator
        self.recorder = Recorder(state, settings)
        self._feeders = feeders
        self.deep = DeepLooks(settings.sensors.deep_look)
        self.standing = Standing(feeders, self.recorder.masked)
        self.keeper = Keeper(state.path)
        self.pace = Pace()
        risk = self.keeper.load(settings.risk, site_reference(settings))
        risk.locate(countries(settings.risk.countries))
        self._changes = risk.changes_told
        self.engine = Engine(risk, make_decider(settings, limited(settings)), self._responder())
        self.closing = self._closing()
        self.teacher = Teacher(state, self.recorder, risk, settings.risk.seed)
        self._told = ""

    def begin(self) -> None:
        """Open the service's run in the records."""
        now = time.time_ns()
        digest, policy, model = settings_digest(self.settings), self.engine.decider.revision, self.engine.risk.revision
        run_id = hashlib.sha256(f"service\0{digest}\0{now}".encode()).hexdigest()[:16]
        self.recorder.begin(RunRecord(run_id, now, "service", (), digest, policy, model))
        self.standing.begin()
        self._write_standing()
        self.engine.responder.adopt(self.recorder.standing(), now)
        self.teacher.begin()
        began = {"model": self.engine.risk.revision, "state": self.engine.risk.origin, "how": self.keeper.began}
        self.recorder.asked("model.began", "ostiary", began)

    def judge(self, names: Sequence[str], parts: Sequence[tuple[int, Batch]], told: Callable[[News], None]) -> None:
        """Carry what has come in through the house, in event order."""
        self.standing.judged(parts)
        started = time.perf_counter()
        outcomes = self.engine.decide(join(names, parts, END_OF_TIME))
        if outcomes:  # how far the sources were read for them goes with them
            self.recorder.outcomes(outcomes, progress=self.standing.progress(self.recorder.run_id))
            self.standing.written()
        self.tell(told)
        self.pace.count(sum(len(batch) for _, batch in parts), time.perf_counter() - started)
        self.engine.act(outcomes, time.time_ns())
        self.recorder.flush()
        self.deep.ask(outcomes, self._feeders.sources)
        summary = Summary()
        summary.add(outcomes)
        lines = summary.lines()
        self.recorder.entities(beside_normal(lines, self.engine.risk.nearest, NEIGHBOURS_OF))

    def news(self) -> News:
        """Return all that is known of risks now; `tell` goes on from there."""
        risk = self.engine.risk
        self._told = risk.revision
        return News(risk.revision, risk.standings(time.time_ns()), whole=True)

    def tell(self, told: Callable[[News], None]) -> None:
        """Tell what is new of risks, or everything where another model reads them."""
        risk = self.engine.risk
        if self._told and risk.revision != self._told:
            told(self.news())
        elif changed := risk.changed(time.time_ns()):
            told(News(risk.revision, changed, whole=False))

    def replace_settings(self, settings: Settings) -> None:
        """Go on with new settings of policy and response; nothing changes where they are refused."""
        decider = make_decider(settings, limited(settings))
        old, self.settings = self.settings, settings
        try:
            if settings.response != old.response:
                responder = self._responder()
                responder.adopt(self.engine.responder.active(), time.time_ns())
                self.engine.responder = responder
                self.closing = self._closing()
        except BaseException:
            self.settings = old
            raise
        self.engine.decider = decider
        self.recorder.activated(settings, decider.revision)

    def close(self, who: Sequence[tuple[Entity, str]]) -> int:
        """End connections of those whom a gate names, each by a decision of its; return how many were closed."""
        closed = 0
        for entity, decision in who:
            closed += self.closing.close(entity, time.time_ns(), partial(self.recorder.closing, entity, decision))
        return closed

    def undo(self, action_id: str, actor: str) -> ActionRecord | None:
        """Undo an action for somebody, and learn that it was wrong; None where there is nothing (any more) to undo."""
        self.recorder.asked("undo", actor, {"action": action_id})
        for action in self.engine.responder.active():
            if self.recorder.action(action).id == action_id:
                undone = self.engine.responder.undo(action.id)
                if undone is None:
                    return None
                record = self.recorder.action(undone)
                self.teacher.undone(record, actor)
                return record
        return None

    def reveal(self, pseudonym: str, purpose: str, actor: str) -> str | None:
        """Return who a pseudonym stands for, after that was written down; None where nobody is known."""
        try:
            entity = self.state.vault.find(pseudonym)
        except UnknownSubjectError:
            return None
        self.recorder.asked("reveal", actor, {"subjects": [self.state.vault.commitment(entity)]}, purpose)
        return entity.id

    def note(self, facts: Mapping[str, str], purpose: str, pseudonyms: Sequence[str], actor: str) -> int:
        """Write down that somebody is about to read plain names; return how many of the subjects are known."""
        subjects = []
        for pseudonym in pseudonyms:
            with suppress(UnknownSubjectError):
                subjects.append(self.state.vault.commitment(self.state.vault.find(pseudonym)))
        self.recorder.asked("reveal", actor, {**facts, "subjects": subjects, "count": len(subjects)}, purpose)
        return len(subjects)

    def keep_standing(self) -> None:
        """Write how far the sources have come, where it is time to."""
        if self.standing.due():
            self._write_standing()

    def outlook(self) -> dict[str, Any]:
        """Return what the next hour brings, the addresses under their pseudonyms (JSON values, hence Any)."""
        found = asdict(self.engine.risk.outlook(self.pace.rows_per_s, self.pace.waiting(QUEUED_BATCHES)))
        hosts = {self.recorder.name(host_entity(name)): ahead for name, ahead in found["hosts"].items()}
        return {**found, "hosts": hosts, "rows_per_s": self.pace.rows_per_s}

    def model(self) -> dict[str, Any]:
        """Return what the model is made of (JSON values, hence Any)."""
        return describe(self.engine.risk, self.teacher.feedback)

    def keep_state(self) -> None:
        """Save what the risk core knows, where it is time to; a change of what is usual is told at once."""
        self._tell_changes()
        if self.keeper.due():
            self._write_standing()  # else a crash would teach it the same lines again
            self.keeper.save(self.engine.risk, self.teacher.feedback)

    def _tell_changes(self) -> None:
        risk = self.engine.risk
        fresh, self._changes = risk.changes_told - self._changes, risk.changes_told
        for change in risk.changes()[-fresh:] if fresh else ():
            self.recorder.asked("model.change", "ostiary", asdict(change))

    def _write_standing(self) -> None:
        self.recorder.progress(self.standing.progress(self.recorder.run_id))
        self.standing.written()

    def finish(self) -> None:
        """Close the service's run in the records."""
        self.teacher.close()
        self._write_standing()
        self.keeper.save(self.engine.risk, self.teacher.feedback, wait=True)
        self.recorder.deep_looks(self.deep.take(wait=True))
        self.deep.close()
        counts = {**self.engine.risk.counts(), **self.deep.counts}
        self.recorder.finish([], self.standing.reports(time.time_ns()), counts)

    def _closing(self) -> Closing:
        settings = self.settings.response
        closers: list[Closer] = [self._actuator] if isinstance(self._actuator, EnforcerClient) else []
        if settings.haproxy_socket:
            closers.append(HaproxyCloser(Path(settings.haproxy_socket)))
        return Closing(settings, closers, never_list(self.settings, live=True))

    def _responder(self) -> Responder:
        return Responder(self.settings.response, self._actuator, never_list(self.settings, live=True), self.recorder)


def _nobody(_: News) -> None:
    """Hear nothing."""


def _taken(waiting: "queue.Queue[Any]") -> list[Any]:
    """Return all that waits in a queue."""
    taken: list[Any] = []
    try:
        while True:
            taken.append(waiting.get_nowait())
    except queue.Empty:
        return taken
