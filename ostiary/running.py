"""One run of `ostiary run`: inputs to recorded outcomes, and what is to be said at its end.

Guarantees: an outcome is handed on only after it has been recorded; the order is that of event time (with `isolated`,
of the files, and of event time within each); a run that is interrupted is closed and says how far it came.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ostiary.deep import DeepLooks
from ostiary.engine import Engine, Outcome, collect_rarely
from ostiary.judge import Judged, SourceReport, judge, judge_isolated, make_engine, open_inputs
from ostiary.labelling import taught
from ostiary.privileges import CAP_DAC_OVERRIDE, capabilities, keep_only
from ostiary.recorder import Recorder
from ostiary.settings import Settings, settings_digest
from ostiary.standing import counted
from ostiary.state import State
from ostiary.store import RunRecord
from ostiary.summary import Summary, beside_normal
from response.guards import NeverList, protect
from risk.feedback import Feedback
from sensors.values import Source, never

NEIGHBOURS_OF = 50
"""Entities that are compared with normal ones at the end of a run, the riskiest."""

Progress = Callable[[int, int, str], None]
"""(done, all, what is being counted); `all` is 0 where there is no end."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the user asked for."""

    files: Sequence[str]
    interface: str
    format_name: str
    isolated: bool
    now_ns: int
    stop: Callable[[], bool] = never


@dataclass(frozen=True, slots=True)
class Found:
    """Outcomes that have been recorded, and the formats of their sources by name."""

    outcomes: Sequence[Outcome]
    formats: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run."""

    run_id: str
    summary: Summary
    sources: Sequence[SourceReport]
    failed: Sequence[tuple[str, str]]
    """Inputs that could not be judged, and why (isolated runs only; else the run itself fails)."""
    counts: Mapping[str, int]
    state: Path
    policy_revision: str
    model_revision: str
    seconds: float


@dataclass(slots=True)
class _Tally:
    """What adds up while a run goes on."""

    summary: Summary = field(default_factory=Summary)
    sources: list[SourceReport] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add_counts(self, counts: Mapping[str, int]) -> None:
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0) + value


def run(
    request: RunRequest, settings: Settings, progress: Progress = lambda *_: None
) -> Generator[Found, None, RunResult]:
    """Judge, record and yield outcomes a batch at a time; return the result. Raises the typed errors of every part."""
    started = time.monotonic()
    collect_rarely()
    sources = [] if request.isolated else _open(request, settings)  # before anything is written
    with State.open(settings) as state:
        recorder = Recorder(state, settings)
        labels = taught(state, settings.risk.seed)
        engine = make_engine(settings, never_list(settings, bool(request.interface)), recorder, labels)
        record = _run_record(request, settings, engine)
        recorder.begin(record)
        tally = _Tally()
        batches = (
            _isolated(request, settings, recorder, tally, progress, labels)
            if request.isolated
            else _together(request, settings, engine, sources, recorder, tally, progress)
        )
        for found in batches:
            tally.summary.add(found.outcomes)
            yield found
        recorder.finish(
            beside_normal(tally.summary.lines(), engine.risk.nearest, NEIGHBOURS_OF),
            [counted(source.name, source.format, source.counters, recorder.masked) for source in tally.sources],
            tally.counts,
        )
        return RunResult(
            record.id, tally.summary, tally.sources, tally.failed, tally.counts, state.path,
            record.policy_revision, record.model_revision, time.monotonic() - started,
        )  # fmt: skip


def never_list(settings: Settings, live: bool) -> NeverList:
    """Return the never-block list; only live traffic is this machine's, so only there its own addresses count."""
    listed = protect(settings.response.never, "it is on the never-block list")
    if not live:
        return NeverList(listed)
    from response.machine import protected_here

    return NeverList((*listed, *protected_here()))


def _run_record(request: RunRequest, settings: Settings, engine: Engine) -> RunRecord:
    digest = settings_digest(settings)
    policy, model = engine.decider.revision, engine.risk.revision
    parts = [*request.files, request.interface, digest, policy, model, str(request.now_ns)]
    run_id = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return RunRecord(run_id, request.now_ns, "run", (), digest, policy, model)


def _open(request: RunRequest, settings: Settings) -> list[Source]:
    if request.interface:
        from sensors.packets.workers import open_live

        sources: list[Source] = [*open_live(request.interface, settings.sensors)]
        keep_only({CAP_DAC_OVERRIDE} if capabilities() >> CAP_DAC_OVERRIDE & 1 else ())  # root's state may be another's
        return sources
    return open_inputs(request.files, request.format_name, settings, request.now_ns)


def _together(
    request: RunRequest,
    settings: Settings,
    engine: Engine,
    sources: Sequence[Source],
    recorder: Recorder,
    tally: _Tally,
    progress: Progress,
) -> Iterator[Found]:
    size = sum(source.size for source in sources)
    formats = {source.name: source.format for source in sources}
    deep = DeepLooks(settings.sensors.deep_look)
    for decided in judge(engine, sources, request.stop):
        progress(sum(source.counters.bytes for source in sources), size, "bytes")
        recorder.outcomes(decided)
        if decided:
            outcomes = engine.act(decided)
            recorder.flush()
            deep.ask(outcomes, sources)
            yield Found(outcomes, formats)
    recorder.deep_looks(deep.take(wait=True))
    deep.close()
    tally.add_counts(deep.counts)
    tally.sources.extend(SourceReport(source.name, source.format, source.counters) for source in sources)
    tally.add_counts(engine.risk.counts())


def _isolated(
    request: RunRequest,
    settings: Settings,
    recorder: Recorder,
    tally: _Tally,
    progress: Progress,
    labels: Feedback,
) -> Iterator[Found]:
    judged = judge_isolated(
        request.files, request.format_name, settings, never_list(settings, live=False), request.now_ns, labels
    )
    for number, (name, result) in enumerate(zip(request.files, judged, strict=True), 1):
        progress(number, len(request.files), "files")
        if isinstance(result, Judged):
            recorder.outcomes(result.outcomes, actions_too=True)
            tally.sources.extend(result.sources)
            tally.add_counts(result.counts)
            yield Found(result.outcomes, {source.name: source.format for source in result.sources})
        else:
            tally.failed.append((name, f"{result} [{getattr(result, 'code', '')}]"))
        if request.stop():
            return
