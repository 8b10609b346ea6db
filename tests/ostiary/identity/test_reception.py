"""What was heard is known before the first answer, and what was asked for by somebody who is gone is not lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.identity.believed import Believed
from ostiary.identity.journal import Journal
from ostiary.identity.reception import JOURNAL, Reception
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.sealed import SealError
from policy.identity.values import Signal, SignalKind
from policy.settings import IdentitySettings

KEY = b"k" * 32
TOLD = Signal(SignalKind.REVOKED, "user:alice", 7)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / JOURNAL, KEY)
    yield made
    made.close()


def reception(folder: Path, said: list[str]) -> Reception:
    return Reception(Believed(IdentitySettings(), folder), folder, KEY, Counters(), lambda _: None, said.append)


def test_what_was_heard_is_known_at_once(journal: Journal, tmp_path: Path) -> None:
    journal.change(lambda _: [TOLD])
    found = reception(tmp_path, [])
    assert list(found.identities.signals.all()) == [TOLD]
    found.close()


def test_what_was_heard_and_cannot_be_read_begins_nothing(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(SealError, match=JOURNAL):
        reception(tmp_path, [])


def test_nothing_is_lost_with_somebody_who_goes_away(journal: Journal, tmp_path: Path) -> None:
    """Whoever has the journal changed reads what others wrote; cancelled, that is still taken in."""

    async def live() -> None:
        found = reception(tmp_path, [])
        journal.change(lambda _: [TOLD])
        asking = asyncio.create_task(found._change(lambda _: []))
        await asyncio.sleep(0)
        asking.cancel()
        running = asyncio.create_task(found.run())
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            if list(found.identities.signals.all()) == [TOLD]:
                break
        else:
            pytest.fail("it was lost")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        found.close()

    asyncio.run(live())
