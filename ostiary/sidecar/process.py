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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ostiary.deciding import make_decider
from ostiary.gate_process import hold
from ostiary.identity.believed import Believed
from ostiary.identity.reception import Reception
from ostiary.listening import bind, check_listen
from ostiary.privileges import end_with, keep_only
from ostiary.settings import Settings
from ostiary.sidecar.counters import CODES, Counters
from ostiary.sidecar.door import Decides, Door
from ostiary.sidecar.follower import SOCKET, Feed, Follower
from ostiary.sidecar.http import Page, Server, health
from ostiary.sidecar.metrics import page as metrics_page
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.outbox import Outbox
from ostiary.sidecar.routes import Routes
from ostiary.sidecar.sealed import open_key
from policy.bundles import Bundle
from policy.engines.timed import TimedEngine

KEY, SNAPSHOT = "key", "snapshot"
DRAIN_S = 5.0
SAVE_S = 30.0
TICK_S = 0.02
LATE_S = 0.1
"""A worker that ends sooner than so after its start is started again with a pause."""
BACKLOG = 1024


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
        self, settings: Settings, read_again: Callable[[], Settings], listener: socket.socket, number: int,
        counters: Counters, believed: Believed,
    ) -> None:  # fmt: skip
        self._settings, self._read_again = settings, read_again
        self._listener, self._number, self._counters = listener, number, counters
        directory = settings.gate_path()
        self._key = open_key(directory / KEY)
        self._snapshot = directory / SNAPSHOT
        self._outbox = Outbox(directory, f"records-{number}", self._key, counters)
        self._reception = Reception(believed, directory, self._key, counters, say)
        self._door = Door(_routes(settings), Mirror(), self._reception.identities, self._outbox.add, counters)
        self._follower = Follower(self._door, decider_of(settings), say)
        self._feed = Feed(directory / SOCKET, self._follower, self._outbox, counters, self._said)
        pages: dict[str, Page] = {"/health": health(self._door), "/metrics": metrics_page(counters)}
        self._door.challenge = self._reception.challenge
        self._http = Server(self._door, pages, handlers=self._reception.handlers)
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
        gc.freeze()
        server = await loop.create_server(self._http, sock=self._listener, backlog=BACKLOG, start_serving=True)
        say(f"answers on {self._settings.gate.listen} ({self._settings.gate.mode})")
        tasks = [
            loop.create_task(work) for work in (self._feed.run(), self._watch(), self._keep(), self._reception.run())
        ]
        await self._stop.wait()
        await self._drain(server)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._outbox.close)
        await asyncio.to_thread(self._reception.close)

    async def _drain(self, server: asyncio.Server) -> None:
        server.close()
        self._http.drain()
        end = time.monotonic() + DRAIN_S
        while time.monotonic() < end and (self._http.connections or (self._feed.connected and len(self._outbox))):
            await asyncio.sleep(0.01)
        if self._follower.changed and self._number == 0:
            with contextlib.suppress(OSError):
                await self._follower.save(self._snapshot, self._key)

    async def _watch(self) -> None:
        """See how late this process is, and end what takes too long."""
        loop = asyncio.get_running_loop()
        swept = loop.time()
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            late_s = loop.time() - due
            limit_s = self._settings.gate.overload_s
            self._door.overloaded = late_s > (limit_s / 2 if self._door.overloaded else limit_s)
            if loop.time() - swept > 1.0:
                swept = loop.time()
                self._http.sweep()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(SAVE_S if self._snapshot.exists() else 1.0)
            if self._number == 0 and self._follower.changed and self._door.mirror.synced_ns:
                try:
                    await self._follower.save(self._snapshot, self._key)
                except OSError as error:
                    self._follower.changed = True
                    say(f"the snapshot cannot be written: {error.strerror or error}")

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
        say(f"SIGHUP: new settings are in force ({new.gate.mode})")


class Supervisor:
    """Holds the socket and keeps the workers running."""

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
        directory = self._settings.gate_path()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        hold(directory, beside=self._beside)
        open_key(directory / KEY)
        self._believed = Believed(self._settings.identity, directory)
        with bind(check_listen(self._settings.gate.listen)) as listener:
            keep_only()
            listener.setblocking(False)
            signal.signal(signal.SIGTERM, self._end)
            signal.signal(signal.SIGINT, self._end)
            signal.signal(signal.SIGHUP, self._again)
            for number in range(self._settings.gate.processes):
                self._start(number, listener)
            while self._workers:
                self._wait(listener)
        if self._settings.gate.listen.startswith("unix:"):
            Path(self._settings.gate.listen.removeprefix("unix:")).unlink(missing_ok=True)
        return 0

    def _start(self, number: int, listener: socket.socket) -> None:
        supervisor = os.getpid()
        process = os.fork()
        if process == 0:
            status = 1
            try:
                end_with(supervisor)
                for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    signal.signal(caught, signal.SIG_DFL)
                self._counters.belong_to(number)
                assert self._believed is not None
                _serve(Worker(self._settings, self._read_again, listener, number, self._counters, self._believed))
                status = 0
            except BaseException as error:  # noqa: BLE001 - the supervisor tells of it and begins again
                say(f"a worker ended: {type(error).__name__}: {error}")
            finally:
                os._exit(status)
        self._workers[process] = (number, time.monotonic())

    def _wait(self, listener: socket.socket) -> None:
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
        self._start(number, listener)

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


def _routes(settings: Settings) -> Routes:
    return Routes(settings.gate, settings.policy.failure)
