"""`ostiary gate`: the processes that answer gateways.

    gateways ──> worker (evaluates, answers from memory) <──feed── engine      supervisor: holds the sockets,
                 worker ...                                                      forks workers, starts them again

Guarantees: a worker that dies (killed, or ended by the kernel because a decision took too long) is started again from
the sealed snapshot within a second, and connections wait for it meanwhile; SIGTERM lets requests under way be answered
and records be handed on, within `DRAIN_S`; SIGHUP reads the settings again and keeps the old ones where the new are
wrong. Holds no capability once its sockets are bound. Nothing of the engine is imported here.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary.deciding import make_decider
from ostiary.errors import MissingExtraError
from ostiary.gate_process import hold
from ostiary.identity.believed import Believed
from ostiary.identity.reception import Reception
from ostiary.listening import bind, check_listen
from ostiary.privileges import end_with, keep_only
from ostiary.settings import Settings
from ostiary.sidecar import authzen
from ostiary.sidecar.counters import CODES, Counters
from ostiary.sidecar.door import Decides, Door
from ostiary.sidecar.follower import SOCKET, Feed, Follower
from ostiary.sidecar.http import Page, Server, health
from ostiary.sidecar.metrics import page as metrics_page
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.outbox import Outbox, adopt
from ostiary.sidecar.routes import Routes
from ostiary.sidecar.sealed import open_key
from ostiary.sidecar.spoe import SpoeServer
from ostiary.sidecar.traces import check_extra, tracer
from policy.bundles import Bundle
from policy.engines.timed import TimedEngine
from policy.values import AccessRequest
from sensors.entities import Entity

if TYPE_CHECKING:
    from types import ModuleType

    from ostiary.sidecar import grpc

KEY, SNAPSHOT = "key", "snapshot"
DRAIN_S = 5.0
SAVE_S = 30.0
ILL_S = 5.0
"""A gate that cannot decide says so for at most so long after it last tried."""
TICK_S = 0.02
LATE_S = 0.1
"""A worker that ends sooner than so after its start is started again with a pause."""
BACKLOG = 1024
CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def say(text: str) -> None:
    """Tell the operator one line on standard error, where a service manager collects it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{now} gate[{os.getpid()}] {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the service's log


def decider_of(settings: Settings) -> Callable[[dict[str, Any]], Decides]:
    """Return what makes a decider of a bundle as the feed carries it (JSON values, hence Any)."""

    def make(told: dict[str, Any]) -> Decides:
        bundle = Bundle(Path(), told["modules"], told["data"], {}, told["revision"])
        return make_decider(settings, lambda bundle: TimedEngine(bundle, settings.policy.timeout_s), bundle)

    return make


class Worker:
    """One process that answers."""

    def __init__(
        self, settings: Settings, read_again: Callable[[], Settings], listeners: list[socket.socket], number: int,
        counters: Counters, believed: Believed,
    ) -> None:  # fmt: skip
        """`listeners` are bound where the settings say, in the order of `_addresses`."""
        self._settings, self._read_again = settings, read_again
        self._listeners, self._number, self._counters = listeners, number, counters
        directory = settings.gate_path()
        self._key = open_key(directory / KEY)
        self._snapshot = directory / SNAPSHOT
        self._outbox = Outbox(directory, f"records-{number}", self._key, counters)
        self._reception = Reception(believed, directory, self._key, counters, self._revoked, say)
        self._door = Door(_routes(settings), Mirror(), self._reception.identities, self._outbox.add, counters)
        self._door.challenge = self._reception.challenge
        self._follower = Follower(self._door, decider_of(settings), self._changed, say)
        self._feed = Feed(directory / SOCKET, self._follower, self._outbox, counters, self._said)
        pages: dict[str, Page] = {"/health": health(self._door), "/metrics": metrics_page(counters)}
        handlers = {**self._reception.handlers, authzen.PATH: authzen.evaluation(self._door)}
        http = Server(self._door, pages, handlers=handlers)
        self._servers: list[Server | SpoeServer | grpc.Server] = [http]
        if settings.gate.spoe:
            self._servers.append(SpoeServer(self._door))
        if settings.gate.grpc:
            self._servers.append(_grpc().Server(self._door))
        self._again: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Answer until SIGTERM."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        if self._follower.load(self._snapshot, self._key):
            age_s = (time.time_ns() - self._door.mirror.synced_ns) / 1e9
            say(f"goes on from a snapshot that is {age_s:.0f} s old, {len(self._door.mirror)} risks")
        end_traces = self._begin_traces()
        gc.freeze()
        listening = [
            await loop.create_server(server, sock=listener, backlog=BACKLOG)
            for server, listener in zip(self._servers, self._listeners, strict=True)
        ]
        say(f"answers on {' and '.join(_addresses(self._settings))} ({self._settings.gate.mode})")
        tasks = [
            loop.create_task(work) for work in (self._feed.run(), self._watch(), self._keep(), self._reception.run())
        ]
        await self._stop.wait()
        await self._drain(listening)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(end_traces)
        await asyncio.to_thread(self._outbox.close)
        await asyncio.to_thread(self._reception.close)

    def _begin_traces(self) -> Callable[[], None]:
        """Begin to tell a collector of answers, where there is one; return what ends it."""
        if not self._settings.gate.traces:
            return lambda: None
        self._door.traced, end = tracer(self._settings.gate.traces)
        return end

    async def _drain(self, listening: list[asyncio.Server]) -> None:
        for listener in listening:
            listener.close()
        for server in self._servers:
            server.drain()
        end = time.monotonic() + DRAIN_S
        while time.monotonic() < end and (self._busy() or (self._feed.connected and len(self._outbox))):
            await asyncio.sleep(0.01)
        await self._save()

    def _busy(self) -> bool:
        return any(server.connections for server in self._servers)

    async def _watch(self) -> None:
        """See how late this process is, and end what takes too long."""
        loop = asyncio.get_running_loop()
        swept, well = loop.time(), loop.time() + ILL_S
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            late_s = loop.time() - due
            limit_s = self._settings.gate.overload_s
            self._door.overloaded = late_s > (limit_s / 2 if self._door.overloaded else limit_s)
            if loop.time() > well:  # whoever keeps away from a gate that is ill has to try it again some time
                self._door.failing, well = False, loop.time() + ILL_S
            if loop.time() - swept > 1.0:
                swept = loop.time()
                for server in self._servers:
                    server.sweep()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(SAVE_S if self._snapshot.exists() else 1.0)
            if self._door.mirror.synced_ns:
                await self._save()

    async def _save(self) -> None:
        """Write a snapshot of what is new; one that is being written is waited for, so that the end doesn't cut it."""
        if self._number == 0:
            try:
                await self._follower.save(self._snapshot, self._key)
            except OSError as error:
                say(f"the snapshot cannot be written: {error.strerror or error}")

    def _changed(self, entities: Iterable[Entity] | None) -> None:
        """Judge again what was let in, where somebody's risk, the policy or the routes changed."""
        if not len(self._door.live) or not self._feed.connected:  # an engine that is back has all judged again
            return
        if entities is not None:
            self._end(self._door.live.of(entities, time.time_ns()), time.time_ns())
            return
        if self._again is not None:
            self._again.cancel()
        self._again = asyncio.get_running_loop().create_task(self._all_again(time.time_ns()))

    async def _all_again(self, at: int) -> None:
        for entity in self._door.live.entities():
            self._end(self._door.live.of([entity], time.time_ns()), at)
            await asyncio.sleep(0)  # questions come first

    def _revoked(self, identity: str) -> None:
        """Judge again, as nameless, what was let in of somebody whose proof counts no more."""
        now = time.time_ns()
        self._end(self._door.live.of([identity], now), now, revoked=True)

    def _end(self, requests: Iterable[AccessRequest], at: int, *, revoked: bool = False) -> None:
        found = tuple(requests)
        decisions = [self._door.judge_again(request, time.time_ns(), revoked=revoked) for request in found]
        who = {decision.entity: decision for decision in decisions if decision}
        self._feed.close(at, [[entity.kind.value, entity.id, each.id] for entity, each in who.items()])

    def _said(self) -> dict[str, int]:
        """Return what the engine is told of this process, and of what all of them counted."""
        counters = self._counters
        undecided = sum(counters.total(f"undecided.{code}") for code in CODES)
        return {
            "number": self._number, "of": self._settings.gate.processes, "questions": counters.total("questions"),
            "undecided": undecided, "unrecorded": counters.total("unrecorded"),
        }  # fmt: skip

    def _reload(self) -> None:
        try:
            new = self._read_again()
            believed = Believed(new.identity, self._settings.gate_path(), self._reception.believed)
            self._follower.remake(decider_of(new))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new settings, the old ones go on
            say(f"SIGHUP: the old settings stay in force: {error}")
            return
        self._settings, self._door.routes = new, _routes(new)
        self._reception.use(believed)
        self._changed(None)
        say(f"SIGHUP: new settings are in force ({new.gate.mode})")


class Supervisor:
    """Holds the sockets and keeps the workers running."""

    def __init__(self, settings: Settings, read_again: Callable[[], Settings], *, beside: bool = False) -> None:
        """`beside` says that an engine starts it, and may end it."""
        self._settings, self._read_again, self._beside = settings, read_again, beside
        self._counters = Counters(settings.gate.processes)
        self._believed: Believed | None = None
        """Read here, so that a worker that is started again needs no file that went wrong meanwhile."""
        self._workers: dict[int, tuple[int, float]] = {}
        self._stopping = False

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT and return 0; raise the typed error of whatever keeps it from beginning."""
        if self._settings.gate.traces:
            check_extra()
        directory = self._settings.gate_path()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        hold(directory, beside=self._beside)
        open_key(directory / KEY)
        adopt(directory, self._settings.gate.processes)
        addresses = _addresses(self._settings)
        self._believed = Believed(self._settings.identity, directory)
        with contextlib.ExitStack() as bound:
            if self._settings.gate.grpc:
                _grpc()  # or there is no beginning
            listeners = [bound.enter_context(bind(check_listen(address))) for address in addresses]
            keep_only()
            for listener in listeners:
                listener.setblocking(False)
            signal.signal(signal.SIGTERM, self._end)
            signal.signal(signal.SIGINT, self._end)
            signal.signal(signal.SIGHUP, self._again)
            for number in range(self._settings.gate.processes):
                self._start(number, listeners)
            while self._workers:
                self._wait(listeners)
        for address in addresses:
            if address.startswith("unix:"):
                Path(address.removeprefix("unix:")).unlink(missing_ok=True)
        return 0

    def _start(self, number: int, listeners: list[socket.socket]) -> None:
        supervisor = os.getpid()
        # a signal that comes now is for the new process too, and not for what it inherits of ours
        signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
        if self._stopping:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
            return
        process = os.fork()
        if process == 0:
            status = 1
            try:
                end_with(supervisor)
                for caught in CAUGHT:
                    signal.signal(caught, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
                self._counters.belong_to(number)
                assert self._believed is not None
                _serve(Worker(self._settings, self._read_again, listeners, number, self._counters, self._believed))
                status = 0
            except BaseException as error:  # noqa: BLE001 - the supervisor tells of it and begins again
                say(f"a worker ended: {type(error).__name__}: {error}")
            finally:
                os._exit(status)
        self._workers[process] = (number, time.monotonic())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)

    def _wait(self, listeners: list[socket.socket]) -> None:
        try:
            process, status = os.wait()
        except InterruptedError:
            return
        number, began = self._workers.pop(process, (-1, 0.0))
        if number < 0 or self._stopping:
            return
        code = os.waitstatus_to_exitcode(status)
        why = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if code == -signal.SIGALRM:
            why = "a decision took longer than policy.timeout_s"
        say(f"a worker ended ({why}) and is started again")
        self._counters.belong_to(number)
        self._counters.add("restarts")
        if time.monotonic() - began < LATE_S:
            time.sleep(1.0)
        self._start(number, listeners)

    def _end(self, *_: object) -> None:
        self._stopping = True
        self._pass_on(signal.SIGTERM)

    def _again(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            new = self._read_again()  # for workers to come; what is wrong with it the present ones tell
            self._believed = Believed(new.identity, self._settings.gate_path(), self._believed)
            self._settings = new
        self._pass_on(signal.SIGHUP)

    def _pass_on(self, number: int) -> None:
        for process in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


def _serve(worker: Worker) -> None:
    import uvloop

    gc.set_threshold(50_000, 20, 20)
    uvloop.run(worker.run())


def _addresses(settings: Settings) -> list[str]:
    """Return where to listen: for HTTP and, where they are wanted, for HAProxy and for gRPC."""
    gate = settings.gate
    return [gate.listen, *(address for address in (gate.spoe, gate.grpc) if address)]


def _grpc() -> "ModuleType":
    """Return the gRPC side, whose messages not everybody has installed; raise `MissingExtraError`."""
    try:
        from ostiary.sidecar import grpc
    except ImportError as error:
        raise MissingExtraError("gate.grpc needs packages that are missing: pip install 'ostiary[grpc]'") from error
    return grpc


def _routes(settings: Settings) -> Routes:
    return Routes(settings.gate, settings.policy.failure)
