"""`ostiary up`: sensors, risk and API in one process, the gate in another beside it.

    sensor threads ──batches──> engine thread ──risks, policy──> feed (event loop) <──unix socket──> gate <── gateways
                                     │  ^                          │
                    audit log, store ┘  └── commands: undo, reveal, new settings; decisions of the gate to record

Guarantees: only the engine thread writes to the state directory; SIGTERM ends everything in order (the gate first, its
decisions recorded; what is queued is still judged, leases stay with the kernel); SIGHUP reads the settings again,
keeps the old ones where the new are wrong, and says what needs a restart; a part that fails ends the service with its
error, rather than leaving half of it running; a gate that dies is started again, and one whose engine was killed is
taken over. Once the sources are open the process holds no capability: an enforcer process of its own acts.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from compliance.keys import open_root_key
from ostiary.api.app import create_app
from ostiary.api.errors import RefusedError
from ostiary.api.server import Tls, serve
from ostiary.api.tokens import Tokens
from ostiary.api.views import LabelOrder, ReadingOrder
from ostiary.deciding import policy_bundle
from ostiary.enforcing import Enforcement
from ostiary.errors import SettingsError, StateError
from ostiary.gate_process import GateProcess
from ostiary.kept_flows import KeptFlows
from ostiary.labelling import Said
from ostiary.privileges import keep_only
from ostiary.settings import Settings
from ostiary.showing import Showing
from ostiary.sidecar.feed import FeedServer, News
from ostiary.sidecar.follower import SOCKET
from ostiary.standing import positions
from ostiary.state import AUDIT, FIRST_TOKEN, QUEUES, ROOT_KEY, STORE, TOKENS
from ostiary.store import ActionRecord, LabelRecord, PositionRecord, Reader
from ostiary.worker import Context, EngineWorker
from policy.values import Decision
from sensors.logs.watch import Watch
from sensors.receive.receivers import Receivers
from sensors.values import Entity, Source

if TYPE_CHECKING:
    from sensors.packets import workers

RELOADABLE = ("policy", "response", "gate", "identity")
BOUND = ("gate.listen", "gate.directory", "gate.processes", "gate.traces", "gate.spoe", "gate.grpc")
"""Settings of those sections that hold until a restart all the same."""
READY_S = 120.0
ANSWER_S = 10.0
END_S = 30.0
"""The engine may take this long to judge what is queued and to close the record."""

T = TypeVar("T")


def say(text: str) -> None:
    """Tell the operator one line on standard error, where a service manager collects it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{now} {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the service's log


def open_live(settings: Settings, kept: KeptFlows) -> "list[workers.LiveCapture]":
    """Open every configured source of packets, going on with the flows that were kept; raise `SensorError`."""
    from sensors.packets import workers  # with the kernels, heavy

    names = settings.sensors.interfaces
    return [source for name in names for source in workers.open_live(name, settings.sensors, kept.take)]


def keep_flows(sources: "list[workers.LiveCapture]", kept: KeptFlows) -> None:
    """Keep what is open; what cannot be kept is said, and begins anew with the next start."""
    for source in sources:
        try:
            if source.saved:
                kept.keep(source.name, source.saved)
        except (OSError, StateError) as error:
            say(f"the open flows of {source.name} are not kept: {error}")


def keep_packets(settings: Settings, sources: "list[workers.LiveCapture]") -> None:
    """Keep the packets of every interface, where that is asked for; raise `SettingsError`."""
    if not settings.sensors.keep_bytes:
        return
    from ostiary.packet_store import PacketStore
    from sensors.packets.live import LiveSource

    path = settings.state_path()
    store = PacketStore(path, open_root_key(path / ROOT_KEY), settings.sensors.keep_bytes)
    store.keep(b"", time.time_ns())
    for source in sources:
        if not isinstance(source, LiveSource):
            raise SettingsError("sensors.keep_bytes: packets are kept only where capture_processes is 1")
        source.keep_with(store.keep)


def open_exported(settings: Settings) -> list[Source]:
    """Open the port that exporters of flows send to, where there is one; raise `SensorError`."""
    if not settings.sensors.netflow:
        return []
    from sensors.netflow.receiver import NetflowSource

    return [NetflowSource(settings.sensors)]


def open_logs(settings: Settings, receivers: Receivers) -> Watch:
    """Open every configured log, where it was left off; raise `SensorError`."""
    state = settings.state_path()
    records: tuple[PositionRecord, ...] = ()
    if (state / STORE).exists():
        with Reader.open(state / STORE) as store:
            records = store.positions()
    marks, since = positions(records)
    watch = Watch(settings.sensors, marks, since, receivers, time.time_ns())
    watch.open()
    return watch


class Service:
    """The running service."""

    def __init__(self, settings: Settings, config: Path | None, read_again: Callable[[], Settings]) -> None:
        self._settings = settings
        self._config = config
        self._read_again = read_again

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT and return 0; raise the typed error of a part that fails."""
        with Enforcement.start(self._settings, self._config) as enforcement:
            kept = KeptFlows(self._settings.state_path(), open_root_key(self._settings.state_path() / ROOT_KEY))
            sources = open_live(self._settings, kept)
            keep_packets(self._settings, sources)
            exported = open_exported(self._settings)
            receivers = Receivers(self._settings.sensors, self._settings.state_path() / QUEUES)
            watch = open_logs(self._settings, receivers)
            keep_only()
            worker = EngineWorker(self._settings, [*sources, *exported], enforcement.actuator, watch)
            worker.start()
            try:
                await asyncio.wait_for(asyncio.wrap_future(worker.ready), READY_S)
                say(worker.began)
                receivers.start()  # only now it is certain that the state directory, with the queues, is ours
                await self._serve(worker, receivers)
            finally:
                await asyncio.to_thread(receivers.stop)
                worker.stop()
                await asyncio.to_thread(worker.join, END_S)
                keep_flows(sources, kept)
            if worker.is_alive():
                raise StateError(f"the engine has not ended within {END_S:g} s: what it had not recorded yet is lost")
            if worker.failed.done():  # while it ended, when nobody else looked
                worker.failed.result()
        say("stopped")
        return 0

    async def _serve(self, worker: EngineWorker, receivers: Receivers) -> None:
        stop, gone = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        path, directory = self._settings.state_path(), self._settings.gate_path()
        feed = await make_feed(worker, self._settings)
        gate = GateProcess(directory, ["gate", "--beside", *self._arguments()], say)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload(worker, feed, gate)))
        api = self._settings.api
        tls = Tls(Path(api.tls_certificate), Path(api.tls_key)) if api.tls_certificate else None
        with Reader.open(path / STORE) as store:
            app = create_app(
                store, self._tokens(path), lambda: self._health(worker, feed),
                checkpoint=lambda: _checkpoint(path),
                undo=lambda action, actor: _undo(worker, action, actor),
                reveal=lambda pseudonym, purpose, actor: _reveal(worker, pseudonym, purpose, actor),
                note=lambda order, actor: _note(worker, order, actor),
                shown=Showing(lambda: self._settings).shown,
                live={
                    "forecast": lambda: _asked(worker.call(lambda context: context.outlook())),
                    "model": lambda: _asked(worker.call(lambda context: context.model())),
                },
                label=lambda order, actor: _label(worker, order, actor),
                withdraw=lambda label, actor: _asked(
                    worker.call(lambda context: context.teacher.withdraw(label, actor))
                ),
                push=lambda name, body, packed: _push(receivers, name, body, packed),
            )  # fmt: skip
            answering = asyncio.Event()
            guarding = asyncio.create_task(gate.run(feed.ready, stop))
            serving = [
                asyncio.create_task(serve(app, api.listen, tls, ready=answering, stop=gone)),
                asyncio.create_task(feed.serve(directory / SOCKET, gone)),
            ]
            parts: list[asyncio.Future[Any]] = [
                guarding,
                *serving,
                asyncio.ensure_future(asyncio.wrap_future(worker.failed)),
            ]
            started = asyncio.gather(answering.wait(), feed.ready.wait())
            await asyncio.wait([*parts, started], return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                self._say_ready(worker.feeders.sources)
                await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            started.cancel()
            await asyncio.wait([guarding])  # its last decisions are recorded while the feed is there
            gone.set()
            await asyncio.wait(serving)
            for part in parts:
                if part.done():
                    part.result()

    def _arguments(self) -> list[str]:
        """Return the arguments with which another process reads the same settings."""
        config = ["--config", str(self._config)] if self._config else []
        return [*config, "--state", str(self._settings.state_path())]

    async def _reload(self, worker: EngineWorker, feed: FeedServer, gate: GateProcess) -> None:
        try:
            new = self._read_again()
            bundle = await asyncio.to_thread(policy_bundle, new)
            await asyncio.wrap_future(worker.call(lambda context: context.replace_settings(new)))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new settings, the old ones go on
            say(f"SIGHUP: the old settings stay in force: {error}")
            return
        gate.reload()
        feed.use(bundle)
        old, self._settings = self._settings, new
        waiting = [
            name for name in Settings.__dataclass_fields__
            if name not in RELOADABLE and getattr(old, name) != getattr(new, name)
        ]  # fmt: skip
        waiting += [name for name in BOUND if attrgetter(name)(old) != attrgetter(name)(new)]
        later = f"; a restart is needed for: {', '.join(waiting)}" if waiting else ""
        say(f"SIGHUP: new settings are in force (gate: {new.gate.mode}, response: {new.response.mode}){later}")

    def _tokens(self, path: Path) -> Tokens:
        tokens = Tokens(path / TOKENS)
        if tokens.create_first(path / FIRST_TOKEN, time.time_ns()):
            say(f"the first token of the API, with all roles, is in {path / FIRST_TOKEN}: move it to a safe place")
        return tokens

    def _say_ready(self, sources: list[Source]) -> None:
        names = ", ".join(f"{source.name} ({source.format})" for source in sources) or "no sensor"
        settings = self._settings
        say(
            f"ready: watching {names}; gate on {settings.gate.listen} ({settings.gate.mode}); API on "
            f"{settings.api.listen}; response: {settings.response.mode}"
        )

    def _health(self, worker: EngineWorker, feed: FeedServer) -> dict[str, Any]:
        counted = next(iter(feed.heard.values()), {})
        return {
            "status": "ok" if worker.is_alive() else "the engine has stopped",
            "gate": "ok" if feed.heard else "away",
            **{name: counted.get(name, 0) for name in ("questions", "undecided", "unrecorded")},
            "behind": list(worker.behind()),
            "mode": {"gate": self._settings.gate.mode, "response": self._settings.response.mode},
        }


async def make_feed(worker: EngineWorker, settings: Settings) -> FeedServer:
    """Return what tells gates of a worker's risks and takes their decisions to it; raise `PolicyError`."""

    async def snapshot(between: Callable[[], None]) -> News:
        def read(context: Context) -> News:
            news = context.news()
            between()
            return news

        return await asyncio.wrap_future(await asyncio.to_thread(worker.call, read))

    async def take(decisions: Sequence[Decision]) -> None:
        await asyncio.wrap_future(worker.record(decisions))

    def lost(count: int) -> None:
        say(f"{count} decisions of the gate were answered and are lost to the record: a process of it was killed")

    async def close(who: Sequence[tuple[Entity, str]]) -> int:
        return await asyncio.wrap_future(await asyncio.to_thread(worker.call, lambda context: context.close(who)))

    feed = FeedServer(snapshot, take, lost, await asyncio.to_thread(policy_bundle, settings), close)
    worker.told = feed.publish
    return feed


def _push(receivers: Receivers, name: str, body: bytes, packed: bool) -> int | None:
    receiver = receivers.pushes.get(name)
    return None if receiver is None else receiver.take(body, packed)


def _checkpoint(path: Path) -> str | None:
    try:
        return (path / AUDIT / "checkpoint").read_text(encoding="utf-8")
    except OSError:
        return None


def _undo(worker: EngineWorker, action_id: str, actor: str) -> ActionRecord | None:
    return _asked(worker.call(lambda context: context.undo(action_id, actor)))


def _note(worker: EngineWorker, order: ReadingOrder, actor: str) -> int:
    facts = {"reads": order.what, "about": order.about}
    return _asked(worker.call(lambda context: context.note(facts, order.purpose, order.subjects, actor)))


def _reveal(worker: EngineWorker, pseudonym: str, purpose: str, actor: str) -> str | None:
    return _asked(worker.call(lambda context: context.reveal(pseudonym, purpose, actor)))


def _label(worker: EngineWorker, order: LabelOrder, actor: str) -> LabelRecord | None:
    said = Said(order.verdict == "malicious", order.note, actor)
    return _asked(worker.call(lambda context: context.teacher.say(order.subject, said)))


def _asked(answer: "Future[T]") -> T:
    """Return the engine's answer; raise `RefusedError`, which names nobody, where it has none."""
    try:
        return answer.result(timeout=ANSWER_S)
    except Exception as error:
        code = getattr(error, "code", None)
        if code is None and not isinstance(error, TimeoutError):
            raise
        raise RefusedError(f"it could not be done now ({code or 'the engine is busy'})") from error
