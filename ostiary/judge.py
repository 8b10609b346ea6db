"""Judge inputs: open them, merge them in event time, and carry every batch through the engine.

Two ways: all inputs as one world (`judge`), or each input as a world of its own (`judge_isolated`), spread over the
cores, with a fresh engine each. Both give outcomes in event order.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ostiary.countries import countries
from ostiary.deciding import make_decider
from ostiary.engine import Engine, Outcome, collect_rarely
from ostiary.referring import site_reference
from ostiary.settings import Settings
from response.guards import NeverList
from response.ports import AuditSink
from response.responder import Responder
from response.values import Action, ActionState
from risk.engine import RiskEngine
from risk.feedback import Feedback
from sensors.begun import Begun
from sensors.errors import UnreadableInputError
from sensors.logs.years import looked_at, present
from sensors.merge import merge
from sensors.registry import Input, best_format, find_format, open_source
from sensors.settings import SourceSettings
from sensors.values import Counters, Source, never


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one batch of inputs."""

    outcomes: Sequence[Outcome]
    sources: Sequence["SourceReport"]
    counts: Mapping[str, int]
    """The risk core's own counts."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What became of one input's bytes."""

    name: str
    format: str
    counters: Counters


class DeferredSink:
    """The audit sink of a worker: it only proposes, and each proposal travels in its outcome to the process that asked,
    which records it before anybody sees it."""

    def record(self, action: Action) -> None:
        if action.state is ActionState.ACTIVE:
            raise AssertionError("a worker takes no action")


def make_engine(settings: Settings, never_list: NeverList, sink: AuditSink, labels: Feedback | None = None) -> Engine:
    """Return an engine that observes and has heard the labels: it proposes actions and takes none."""
    responder = Responder(replace(settings.response, mode="observe"), None, never_list, sink)
    risk = RiskEngine(settings.risk, site_reference(settings))
    risk.locate(countries(settings.risk.countries))
    if labels is not None and labels.labels:
        risk.hear(labels)
    return Engine(risk, make_decider(settings), responder)


def open_inputs(paths: Sequence[str], format_name: str, settings: Settings, now_ns: int) -> list[Source]:
    """Open every input, `-` as standard input; raise `SensorError` for the first that cannot be read.

    A log whose stamps have no year gets it from its file's time, or from the other inputs.
    """
    looks = [None if path == "-" else looked_at(Path(path)) for path in paths]
    presents = [
        now_ns if look is None else present(look, [other for other in looks if other and other is not look], now_ns)
        for look in looks
    ]
    return [_open(path, format_name, settings, now) for path, now in zip(paths, presents, strict=True)]


def _open(path: str, format_name: str, settings: Settings, now_ns: int) -> Source:
    options = settings.sensors.sources.get(path, SourceSettings())
    format_name = format_name or options.format
    if path != "-":
        return open_source(Input(Path(path), path, settings.sensors, now_ns, zone=options.zone), format_name)
    try:
        stream = Begun(sys.stdin.fileno())
    except (OSError, ValueError) as error:
        raise UnreadableInputError(f"standard input: {error}") from error
    item = Input(Path(path), path, settings.sensors, now_ns, first=stream.head, stream=stream, zone=options.zone)
    if format_name == "pcap" or best_format(stream.head, path) == find_format("pcap"):
        from sensors.packets.capture import CaptureSource

        return CaptureSource.from_stream(stream, path, settings.sensors)
    return open_source(item, format_name)


def judge(engine: Engine, sources: Sequence[Source], stop: Callable[[], bool] = never) -> Iterator[list[Outcome]]:
    """Yield what was decided on each merged batch of all sources, in event order; nothing is done yet."""
    names = [source.name for source in sources]
    for batch in merge(names, [source.batches(stop) for source in sources]):
        yield engine.decide(batch)


def _judge_one(
    path: str, format_name: str, settings: Settings, never_list: NeverList, now_ns: int, labels: Feedback | None
) -> Judged:
    collect_rarely()
    engine = make_engine(settings, never_list, DeferredSink(), labels)
    (source,) = sources = open_inputs([path], format_name, settings, now_ns)
    outcomes = [outcome for decided in judge(engine, sources) for outcome in engine.act(decided)]
    return Judged(outcomes, [SourceReport(source.name, source.format, source.counters)], engine.risk.counts())


def judge_isolated(
    paths: Sequence[str],
    format_name: str,
    settings: Settings,
    never_list: NeverList,
    now_ns: int,
    labels: Feedback | None = None,
) -> Iterator[Judged | Exception]:
    """Judge each input as a world of its own, over all cores; yield in the order of `paths`.

    An input that cannot be opened or recognised gives its error in its place, so that one bad file among hundreds
    doesn't end the work.
    """
    workers = min(len(paths), os.cpu_count() or 1)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ostiary.judge", "sensors.formats.capture"])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_judge_one, path, format_name, settings, never_list, now_ns, labels) for path in paths]
        for future in futures:
            error = future.exception()
            if error is None:
                yield future.result()
            elif isinstance(error, Exception) and hasattr(error, "code"):
                yield error
            else:
                raise error
