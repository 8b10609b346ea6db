"""How far sources were judged goes with what was decided: both, or neither."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ostiary.store import Limits, PositionRecord, Progress, Store, StoreMisuseError

Make = Callable[..., Any]


def progress(offset: int, run_id: str = "r1", names: tuple[str, ...] = ("/var/log/a.log",)) -> Progress:
    positions = tuple(
        PositionRecord(name, "/var/log/*.log", {"offset": offset}, {"read": offset // 10}, offset) for name in names
    )
    return Progress(run_id, tuple({"name": name, "read": offset // 10} for name in names), positions)


def test_positions_take_their_newest_state_and_show_with_the_run(store: Store, make_decision: Make) -> None:
    store.put_progress(progress(10))
    store.put_decisions([make_decision(1)], progress=progress(40))
    assert store.positions() == progress(40).positions
    run = store.latest_run()
    assert run is not None and run.sources == ({"name": "/var/log/a.log", "read": 4},)


def test_what_is_refused_moves_no_position(store: Store, make_decision: Make) -> None:
    store.put_progress(progress(10))
    with pytest.raises(StoreMisuseError):
        store.put_decisions([make_decision(1), make_decision(2, "no such run")], progress=progress(40))
    assert store.positions() == progress(10).positions
    assert store.decisions().items == ()


def test_a_name_of_any_bytes_comes_back(store: Store) -> None:
    name = b"/var/log/\xff\xfe.log".decode("utf-8", "surrogateescape")
    store.put_progress(progress(10, names=(name,)))
    assert [position.name for position in store.positions()] == [name]


def test_there_are_not_more_than_the_limit_and_the_oldest_go(path: Path) -> None:
    with Store.create(path, Limits(positions=10)) as small:
        for number in range(30):
            small.put_progress(progress(number, names=(f"/{number}",)))
        assert len(small.positions()) <= 10
        assert small.positions()[-1].name == "/29"
        assert small.pruned()["positions"] >= 20
