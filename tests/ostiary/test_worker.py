"""The engine's thread: whoever asks it something may leave before it answers."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.settings import Settings
from ostiary.worker import EngineWorker


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[EngineWorker]:
    engine = EngineWorker(Settings(state_dir=str(tmp_path)), [], None)
    engine.start()
    engine.ready.result(120)
    yield engine
    engine.stop()
    engine.join(60)


def test_whoever_leaves_before_the_answer_harms_nobody(worker: EngineWorker) -> None:
    go_on, ran = threading.Event(), list[int]()
    begun = threading.Event()

    def slow(_: object) -> None:
        begun.set()
        assert go_on.wait(60)

    answers = [worker.call(slow), worker.call(lambda _: ran.append(1)), worker.record([])]
    assert begun.wait(60)
    for answer in answers:
        answer.cancel()
    go_on.set()
    assert worker.call(lambda _: 7).result(60) == 7
    assert worker.record([]).result(60) is None
    assert (ran, worker.is_alive(), worker.failed.done()) == ([1], True, False)


def test_what_a_command_fails_with_is_its_askers(worker: EngineWorker) -> None:
    def fails(_: object) -> None:
        raise ValueError("a bad order")

    with pytest.raises(ValueError, match="a bad order"):
        worker.call(fails).result(60)
    assert worker.call(lambda _: 7).result(60) == 7
