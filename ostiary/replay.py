"""Recorded decisions put to another policy, over all cores.

Guarantees: reads only; the history as it stood when it began; the same answer whatever the number of processes. Plain
names are read only where the caller says so, and has written that into the audit log before; they stay in the memory
of the processes that compare.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from compliance.keys import open_root_key
from compliance.privacy.vault import Vault
from ostiary.errors import NotRepeatableError
from ostiary.history import plain_document
from ostiary.state import ROOT_KEY, STORE, VAULT
from ostiary.store import PastDecision, Reader
from policy.bundles import Bundle
from policy.engines.embedded import EmbeddedEngine
from policy.patch import within_budget
from policy.whatif import Past, WhatIf, compare

DAY_NS = 86_400_000_000_000
PART = 10_000
"""Decisions that a process compares at a time."""
ALONE = 5_000
"""Up to so many decisions aren't worth a second process."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What to put to which policy."""

    state: Path
    bundle: Bundle
    since_s: float | None = None
    """Seconds back from the newest recorded decision; None: all."""
    plain: bool = False
    """Read names, so that rules on addresses and identities apply."""


def replay(what: Replay, progress: Callable[[int, int], None] = lambda *_: None, processes: int = 0) -> WhatIf:
    """Compare; `progress` is told (decisions looked at, all). Raises `BundleError`, `StoreError`, `StateError`."""
    EmbeddedEngine(what.bundle)  # a bundle that doesn't compile is told before anything begins
    with Reader.open(what.state / STORE) as store:
        first, last = store.numbers()
        since = 0 if what.since_s is None else max(0, store.newest_time() - int(what.since_s * 1e9))
    found = WhatIf()
    for done, part in _compared(what, since, first, last, processes or os.cpu_count() or 1):
        found.merge(part)
        progress(min(done, last) - first + 1, last - first + 1)
    return found


def budget_start(state: Path, since_s: float | None, per_day: float) -> float:
    """Return the lowest risk at which the recorded history would have kept an alarm budget; raise `StoreError`.

    An alarm is an entity on a day (UTC, event time) at its riskiest, however often it was decided on.
    """
    worst: dict[tuple[int, str], float] = {}
    with Reader.open(state / STORE) as store:
        after, last = 0, store.numbers()[1]
        since = 0 if since_s is None else max(0, store.newest_time() - int(since_s * 1e9))
        while page := store.history(after, last, since):
            for item in page:
                risk = json.loads(item.document).get("risk", {}).get("risk")
                if risk is not None:
                    key = item.ts // DAY_NS, item.pseudonym
                    worst[key] = max(worst.get(key, 0.0), risk)
            after = page[-1].number
    return within_budget(list(worst.values()), per_day, len({day for day, _ in worst}))


def _compared(what: Replay, since: int, first: int, last: int, processes: int) -> Iterator[tuple[int, WhatIf]]:
    """Yield (last number, what was found) of each part, in order."""
    ends = range(first - 1 + PART, last + PART, PART)
    if processes == 1 or last - first < ALONE:
        with _Comparer(what, since) as comparer:
            for end in ends:
                yield end, comparer.part(end - PART, min(end, last))
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ostiary.replay"])
    with ProcessPoolExecutor(processes, context, _begin, (what, since)) as pool:
        parts = pool.map(_part, [end - PART for end in ends], [min(end, last) for end in ends])
        yield from zip(ends, parts, strict=True)


class _Comparer:
    """Compares parts of a history in one process and thread."""

    def __init__(self, what: Replay, since: int) -> None:
        self._since = since
        self._engine = EmbeddedEngine(what.bundle)
        self._store = Reader.open(what.state / STORE)
        self._vault = Vault.open(what.state / VAULT, open_root_key(what.state / ROOT_KEY)) if what.plain else None

    def __enter__(self) -> "_Comparer":
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()
        if self._vault:
            self._vault.close()

    def part(self, after: int, last: int) -> WhatIf:
        """Compare the decisions numbered `after` < number <= `last`."""
        gone: list[str] = []
        found = compare(self._engine, self._past(after, last, gone))
        found.gone = len(gone)
        return found

    def _past(self, after: int, last: int, gone: list[str]) -> Iterator[Past]:
        while page := self._store.history(after, last, self._since):
            for item in page:
                try:
                    yield self._ready(item)
                except NotRepeatableError:
                    gone.append(item.id)
            after = page[-1].number

    def _ready(self, item: PastDecision) -> Past:
        if self._vault is None:
            return Past(item.id, item.pseudonym, item.verdict, item.document, plain=False)
        document = plain_document(self._vault, item.id, item.pseudonym, item.document, item.sealed)
        return Past(item.id, item.pseudonym, item.verdict, json.dumps(document), plain=True)


_comparer: _Comparer | None = None


def _begin(what: Replay, since: int) -> None:
    global _comparer  # the one object of a process of the pool; it belongs to its thread
    _comparer = _Comparer(what, since)


def _part(after: int, last: int) -> WhatIf:
    assert _comparer is not None
    return _comparer.part(after, last)
