"""The threads that bring batches of a service's sources to its engine.

Guarantees: the queue is bounded, so a source waits while the engine is slower than it (a packet source then drops, and
counts it); batches of one source come in order, and none is left out before a later one; all logs share one thread, so
their number costs no threads. After `stop` nothing more is taken up. What a source of packets fails with is handed on;
a log that can't be read any more is told with its reason, and the others go on.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from sensors.errors import SensorError
from sensors.logs.source import LogSource
from sensors.logs.watch import Watch
from sensors.values import Batch, Source

QUEUED = 256
"""Batches that may wait."""
MAX_ROWS = 1 << 16
"""Rows that are handed on at a time; the last batch may go beyond."""
_LOOK_S = 1.0
_IDLE_S = 0.1
_FULL_S = 0.2
_ROUND = 16
"""Batches that one log gives before the next one has its turn."""


class Feeders:
    """The sources of a service, by number, and the queue that they fill."""

    def __init__(self, sources: Sequence[Source], watch: Watch | None, failed: Callable[[Exception], None]) -> None:
        """Take sources that have a thread each, and the logs; `failed` hears of a source that ends the service."""
        self.watch = watch
        self.sources: list[Source] = [*sources, *(watch.sources if watch else ())]
        """It only grows: the number of a source is for ever."""
        self.troubles: dict[str, str] = {}
        """Logs that can't be read any more, by name, and the code of the reason."""
        self._numbers = {id(source): number for number, source in enumerate(self.sources)}
        self._failed = failed
        self._batches: queue.Queue[tuple[int, Batch]] = queue.Queue(QUEUED)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._feed, args=(item,), daemon=True) for item in sources]
        if watch is not None:
            self._threads.append(threading.Thread(target=self._guarded, name="logs", daemon=True))

    def start(self) -> None:
        """Begin to bring."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what has been brought stays in the queue."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=2)

    def close(self) -> None:
        """Let go of the logs; after `stop`, and when nothing is to be told of them any more."""
        for source in self.watch.sources if self.watch is not None else ():
            source.close()

    def take(self, timeout: float) -> list[tuple[int, Batch]]:
        """Return what waits, about `MAX_ROWS` at most, after waiting up to `timeout` seconds for the first."""
        taken: list[tuple[int, Batch]] = []
        rows = 0
        try:
            while rows < MAX_ROWS:
                item = self._batches.get(timeout=timeout) if timeout and not taken else self._batches.get_nowait()
                taken.append(item)
                rows += len(item[1])
        except queue.Empty:
            pass
        return taken

    def _put(self, number: int, batch: Batch) -> bool:
        """Queue a batch; False where the service ends before there is room."""
        while True:
            try:
                self._batches.put((number, batch), timeout=_FULL_S)
                return True
            except queue.Full:  # the engine is slower than this source: wait, don't pile up
                if self._stopping.is_set():
                    return False

    def _feed(self, source: Source) -> None:
        try:
            for batch in source.batches(self._stopping.is_set):
                if len(batch) and not self._put(self._numbers[id(source)], batch):
                    source.counters.dropped += len(batch)
        except Exception as error:  # noqa: BLE001 - a source that fails ends the service
            self._failed(error)

    def _guarded(self) -> None:
        try:
            self._feed_logs()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)

    def _feed_logs(self) -> None:
        assert self.watch is not None
        polls: dict[int, Iterator[Batch]] = {}
        looked = time.monotonic()
        while not self._stopping.is_set():
            idle = True
            for source in tuple(self.watch.sources):
                if source.name not in self.troubles:
                    idle &= not self._round(source, polls)
            if time.monotonic() - looked >= _LOOK_S:
                looked = time.monotonic()
                self._look(polls)
            if idle:
                self._stopping.wait(_IDLE_S)

    def _round(self, source: LogSource, polls: dict[int, Iterator[Batch]]) -> bool:
        """Bring some batches of a log; return whether there were any."""
        poll = polls.setdefault(id(source), source.poll())
        brought = 0
        try:
            for batch in islice(poll, _ROUND):
                if not self._put(self._numbers[id(source)], batch):
                    return False  # it ends: what wasn't brought is read again
                brought += 1
        except SensorError as error:
            self.troubles[source.name] = error.code
        if brought < _ROUND:
            del polls[id(source)]
        return brought > 0

    def _look(self, polls: dict[int, Iterator[Batch]]) -> None:
        """Take up logs that have appeared, and leave those that are gone."""
        assert self.watch is not None
        for source in tuple(self.watch.sources):
            if id(source) not in polls:
                self.watch.leave(source)
        for source in self.watch.look():
            self.sources.append(source)
            self._numbers[id(source)] = len(self.sources) - 1
