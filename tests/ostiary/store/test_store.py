"""What is put in comes out, in order, once, within the limits."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.store import (
    MAX_PAGE,
    ActionRecord,
    CursorError,
    DecisionRecord,
    EntityRecord,
    Limits,
    Reader,
    RunRecord,
    Store,
    StoreMisuseError,
    cursor,
    rows,
)
from response.values import Action

Make = Callable[..., Any]


def walk(ask: Callable[[str], Any]) -> list[Any]:
    items: list[Any] = []
    after = ""
    while True:
        page = ask(after)
        items += page.items
        after = page.next
        if not after:
            return items


def test_a_run_comes_back_and_is_finished(store: Store) -> None:
    begun = store.latest_run()
    assert begun == RunRecord("r1", 1_000, "run", ({"name": "a.pcap", "read": 3},), "s", "p", "m", 0)
    store.finish_run("r1", 2_000, [{"name": "a.pcap", "read": 9}], "m2")
    assert store.latest_run() == dataclasses.replace(
        begun, finished_ns=2_000, sources=({"name": "a.pcap", "read": 9},), model_revision="m2"
    )
    store.finish_run("r1", 3_000, [])
    assert store.runs()[0].model_revision == "m2"


def test_runs_come_newest_first(store: Store) -> None:
    store.begin_run(RunRecord("r0", 1, "service"))
    assert [run.id for run in store.runs()] == ["r0", "r1"]
    assert [run.id for run in store.runs(limit=1)] == ["r0"]


def test_an_empty_store_has_no_runs(path: Path) -> None:
    with Store.create(path) as empty:
        assert empty.latest_run() is None
        assert empty.entities().items == ()
        assert empty.entity("ip-1") is None
        assert empty.decision("d") is None
        assert empty.action("a") is None


def test_the_rules_of_runs(store: Store, make_decision: Make) -> None:
    with pytest.raises(StoreMisuseError):
        store.begin_run(RunRecord("r1", 5, "run"))
    with pytest.raises(StoreMisuseError):
        store.finish_run("r9", 5, [])
    with pytest.raises(StoreMisuseError):
        store.put_decisions([make_decision(1), make_decision(2, "r9")])
    assert store.decisions().items == ()


def test_entities_take_their_newest_state_and_come_riskiest_first(store: Store, make_entity: Make) -> None:
    store.put_entities([make_entity("ip-b", 0.5), make_entity("ip-a", 0.5), make_entity("ip-c", 0.9)])
    store.put_entities([make_entity("ip-b", 0.1)])
    assert [(e.pseudonym, e.risk) for e in store.entities().items] == [("ip-c", 0.9), ("ip-a", 0.5), ("ip-b", 0.1)]
    assert [e.pseudonym for e in store.entities(min_risk=0.5).items] == ["ip-c", "ip-a"]
    assert store.entity("ip-a") == make_entity("ip-a", 0.5)


def test_entities_are_those_of_the_latest_run_unless_asked(store: Store, make_entity: Make) -> None:
    store.put_entities([make_entity("ip-a", 0.5)])
    store.begin_run(RunRecord("r2", 2, "run"))
    assert store.entities().items == ()
    assert [e.pseudonym for e in store.entities("r1").items] == ["ip-a"]
    assert store.entity("ip-a") == make_entity("ip-a", 0.5)
    store.put_entities([make_entity("ip-a", 0.7, "r2")])
    found = store.entity("ip-a")
    assert found is not None and found.run_id == "r2"
    assert store.entity("ip-a", "r1") == make_entity("ip-a", 0.5)


def test_paging_entities_gives_each_once(store: Store, make_entity: Make) -> None:
    put = [make_entity(f"ip-{n:02}", (n % 4) / 10) for n in range(25)]
    store.put_entities(put)
    seen = walk(lambda after: store.entities(limit=4, after=after))
    assert seen == sorted(put, key=lambda e: (-e.risk, e.pseudonym))


def test_decisions_come_back_whole_newest_first_and_once(store: Store, make_decision: Make) -> None:
    put = [make_decision(n) for n in range(30)]
    store.put_decisions(put)
    store.put_decisions(put[:10])
    assert walk(lambda after: store.decisions(limit=7, after=after)) == put[::-1]
    assert walk(lambda after: store.decisions(entity="ip-3", limit=2, after=after)) == put[3::7][::-1]
    assert list(store.decisions(verdict="deny").items) == put[1::3][::-1]
    assert list(store.decisions(entity="ip-1", verdict="deny").items) == [put[22], put[1]]
    assert store.decision(put[4].id) == put[4]


def test_the_same_decision_of_two_runs_is_kept_twice(store: Store, make_decision: Make) -> None:
    store.put_decisions([make_decision(1)])
    store.begin_run(RunRecord("r2", 2, "run"))
    store.put_decisions([make_decision(1, "r2")])
    assert [d.run_id for d in store.decisions().items] == ["r2", "r1"]
    assert [d.run_id for d in store.decisions(run_id="r1").items] == ["r1"]
    found = store.decision(make_decision(1).id)
    assert found is not None and found.run_id == "r2"


def test_actions_take_their_newest_state(store: Store, make_action: Make) -> None:
    store.put_actions([make_action(1), make_action(2)])
    store.put_actions([make_action(1, "active")])
    assert [(a.id, a.state) for a in store.actions().items] == [("a2", "proposed"), ("a1", "active")]
    assert [a.id for a in store.actions(state="active").items] == ["a1"]
    assert store.action("a1") == make_action(1, "active")
    assert [a.id for a in walk(lambda after: store.actions(limit=1, after=after))] == ["a2", "a1"]


def test_an_action_mirrors_the_response_layers(make_action: Make) -> None:
    theirs = {field.name for field in dataclasses.fields(Action)} - {"target"}
    ours = {field.name for field in dataclasses.fields(ActionRecord)} - {"pseudonym", "run_id"}
    assert ours == theirs


def test_answers_are_bounded(store: Store, make_decision: Make) -> None:
    store.put_decisions([make_decision(n) for n in range(MAX_PAGE + 5)])
    assert len(store.decisions(limit=10**9).items) == MAX_PAGE
    assert len(store.decisions(limit=0).items) == 1


@pytest.mark.parametrize(
    "bad", ["x", "!!!", "é", "W10", "WzFd====", "A" * 5000, cursor.encode("a"), cursor.encode(2**70), cursor.encode(-1)]
)
def test_a_cursor_that_is_not_ours_is_refused(store: Store, bad: str) -> None:
    with pytest.raises(CursorError):
        store.decisions(after=bad)
    with pytest.raises(CursorError):
        store.entities(after=bad)


@given(st.text(max_size=60))
@settings(derandomize=True, max_examples=200)
def test_no_cursor_raises_anything_else(text: str) -> None:
    for read in (cursor.row_number, cursor.risk_and_name):
        with contextlib.suppress(CursorError):
            read(text)


def test_decisions_stay_within_their_limit_and_the_pruned_are_counted(path: Path, make_decision: Make) -> None:
    with Store.create(path, Limits(decisions=100)) as store:
        store.begin_run(RunRecord("r1", 1, "run"))
        for start in range(0, 250, 50):
            store.put_decisions([make_decision(n) for n in range(start, start + 50)])
            assert len(store.decisions(limit=1000).items) <= 100
        kept = store.decisions(limit=1000).items
        assert kept[0] == make_decision(249)
        assert store.pruned()["decisions"] == 250 - len(kept)
        assert len(kept) >= 98
    with Store.create(path, Limits(decisions=10)) as store:
        store.put_decisions([make_decision(300)])
        assert [d.seq for d in store.decisions().items] == [300, *range(249, 240, -1)]


def test_a_batch_larger_than_the_limit_leaves_its_end(path: Path, make_decision: Make) -> None:
    with Store.create(path, Limits(decisions=5)) as store:
        store.begin_run(RunRecord("r1", 1, "run"))
        store.put_decisions(make_decision(n) for n in range(20))
        assert [d.seq for d in store.decisions().items] == [19, 18, 17, 16, 15]


def test_upserts_do_not_count_as_growth(path: Path, make_entity: Make) -> None:
    with Store.create(path, Limits(entities=3)) as store:
        store.begin_run(RunRecord("r1", 1, "run"))
        for _ in range(5):
            store.put_entities([make_entity("ip-a", ts=1), make_entity("ip-b", ts=2)])
        assert store.pruned()["entities"] == 0
        store.put_entities([make_entity("ip-c", ts=3), make_entity("ip-d", ts=4)])
        assert [e.pseudonym for e in store.entities().items] == ["ip-b", "ip-c", "ip-d"]
        assert store.pruned()["entities"] == 1


def test_old_runs_go_with_all_that_is_theirs(path: Path, make_decision: Make, make_entity: Make) -> None:
    with Store.create(path, Limits(runs=2)) as store:
        for n in range(4):
            store.begin_run(RunRecord(f"r{n}", n, "run"))
            store.put_decisions([make_decision(n, f"r{n}")])
            store.put_entities([make_entity("ip-a", run_id=f"r{n}"), make_entity("ip-b", run_id=f"r{n}")])
        assert [run.id for run in store.runs()] == ["r3", "r2"]
        assert {kind: count for kind, count in store.pruned().items() if count} == {
            "runs": 2, "entities": 4, "decisions": 2,
        }  # fmt: skip
        assert store.check() == ()


def test_active_actions_are_pruned_last(path: Path, make_action: Make) -> None:
    with Store.create(path, Limits(actions=2)) as store:
        store.begin_run(RunRecord("r1", 1, "run"))
        store.put_actions([make_action(1, "active"), make_action(2), make_action(3)])
        assert [a.id for a in store.actions().items] == ["a3", "a1"]


def test_limits_are_at_least_one(path: Path) -> None:
    with pytest.raises(StoreMisuseError):
        Store.create(path, Limits(decisions=0))
    Store.create(path).close()


texts = st.text(max_size=20)


@given(texts, texts, st.dictionaries(texts, st.floats(allow_nan=False)), st.lists(st.tuples(texts, texts), max_size=3))
@settings(derandomize=True, max_examples=100)
def test_any_record_survives_its_row(name: str, text: str, mapping: dict[str, float], pairs: list[Any]) -> None:
    entity = EntityRecord("r", name, "ip", 1, 0.5, "low", 0.5, 1.0, (text,), (text,), mapping, "deny")
    assert rows.entity_of(rows.entity_row(entity)) == entity
    decision = DecisionRecord(
        "d",
        "r",
        1,
        name,
        "deny",
        tuple(pairs),
        dict(mapping),
        1.0,
        "p",
        "m",
        "i",
        {"a": [text]},
        "x",
        text,
        "T",
        name,
        3,
    )
    assert rows.decision_of(rows.decision_row(decision)) == decision


def test_bytes_that_are_no_text_become_question_marks(store: Store, make_decision: Make) -> None:
    odd = "a\udcff.pcap"
    store.put_decisions([make_decision(1, source=odd, text=odd, document={"path": odd, odd: 1})])
    found = store.decisions().items[0]
    assert (found.source, found.text, found.document) == ("a?.pcap", "a?.pcap", {"path": "a?.pcap", "a?.pcap": 1})


def test_a_reader_sees_each_finished_call_of_the_writer(store: Store, path: Path, make_decision: Make) -> None:
    with Reader.open(path) as reader:
        for n in range(5):
            store.put_decisions([make_decision(n)])
            assert reader.decisions().items[0] == make_decision(n)


def test_history_comes_in_order_in_bounded_parts_with_what_only_the_vault_reads(
    store: Store, make_decision: Make
) -> None:
    assert store.numbers() == (1, 0)
    assert store.newest_time() == 0
    store.put_decisions([make_decision(n) for n in range(MAX_PAGE + 5)], (bytes([n % 256]) for n in range(9999)))
    first, last = store.numbers()
    assert (first, last, store.newest_time()) == (1, MAX_PAGE + 5, 10 * (MAX_PAGE + 4))
    part = store.history(0, last)
    assert [past.number for past in part] == list(range(1, MAX_PAGE + 1))
    assert part[3].sealed == store.sealed(part[3].id) == b"\x03"
    assert [past.number for past in store.history(MAX_PAGE, last)] == list(range(MAX_PAGE + 1, MAX_PAGE + 6))
    assert [past.ts for past in store.history(0, last, since=10 * MAX_PAGE)] == [10 * n for n in range(MAX_PAGE, last)]
    assert store.sealed("none") == b""
