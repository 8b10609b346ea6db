"""Merging: one order, whatever the cutting; nothing lost; memory in proportion to what is held."""

from collections.abc import Iterator, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.merge import END_OF_TIME, join, merge
from sensors.values import DTYPES, Batch, Kind

QUICK = settings(derandomize=True, deadline=None, max_examples=150)
NO_PROMISE = -END_OF_TIME

Event = tuple[int, Kind, str]
"""ts, kind, and a text that names the row."""


def batch(events: Sequence[tuple[int, Event]], watermark: int) -> Batch:
    """Build a batch of (seq, event)."""
    texts = [""]
    tables = {}
    for kind in (Kind.AUTH, Kind.DNS, Kind.FLOW):
        column = {Kind.AUTH: "user", Kind.DNS: "query", Kind.FLOW: None}[kind]
        rows = np.zeros(sum(event[1] == kind for _, event in events), DTYPES[kind])
        for row, (seq, (ts, _, text)) in zip(rows, (e for e in events if e[1][1] == kind), strict=True):
            row["ts"], row["seq"] = ts, seq
            if column:
                row[column] = len(texts)
                texts.append(text)
        tables[kind] = rows[np.lexsort((rows["seq"], rows["ts"]))]
    return Batch(("x",), watermark, tables, texts)


def stream(events: list[Event], cuts: list[int]) -> Iterator[Batch]:
    """Cut the events of one source into batches whose watermarks promise what holds."""
    numbered = list(enumerate(events, 1))
    start = 0
    for end in [*sorted(min(cut, len(events)) for cut in cuts), len(events)]:
        rest = [ts for ts, _, _ in events[end:]]
        yield batch(numbered[start:end], min(rest, default=END_OF_TIME))
        start = end


def told(batches: Iterator[Batch]) -> list[tuple[int, int, int, str, str]]:
    """All rows in the order in which they come, and by kind inside equal places."""
    out = []
    for one in batches:
        rows = []
        for kind, table in one.tables.items():
            column = {Kind.AUTH: "user", Kind.DNS: "query", Kind.FLOW: None}[kind]
            assert len(table)
            for row in table:
                text = one.texts[row[column]] if column else ""
                rows.append((int(row["ts"]), int(row["source"]), int(row["seq"]), str(kind), text))
        out += sorted(rows)
    return out


EVENTS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([Kind.AUTH, Kind.DNS, Kind.FLOW]), st.sampled_from("abc")),
    max_size=25,
)
CUTS = st.lists(st.integers(0, 25), max_size=5)


@QUICK
@given(st.lists(st.tuples(EVENTS, CUTS), min_size=1, max_size=4))
def test_any_cutting_gives_the_same_rows_in_order(sources: list[tuple[list[Event], list[int]]]) -> None:
    names = [f"s{index}" for index in range(len(sources))]
    got = told(merge(names, [stream(events, cuts) for events, cuts in sources]))
    expected = sorted(
        (ts, source, seq, str(kind), "" if kind is Kind.FLOW else text)
        for source, (events, _) in enumerate(sources)
        for seq, (ts, kind, text) in enumerate(events, 1)
    )
    assert got == expected


@QUICK
@given(st.lists(st.lists(st.tuples(EVENTS, st.integers(0, 40)), max_size=4), min_size=1, max_size=3))
def test_broken_promises_lose_nothing(sources: list[list[tuple[list[Event], int]]]) -> None:
    streams = [iter([batch(list(enumerate(e, 1)), mark) for e, mark in parts]) for parts in sources]
    got = told(merge([str(i) for i in range(len(sources))], streams))
    assert len(got) == sum(len(events) for parts in sources for events, _ in parts)


def test_batches_come_as_soon_as_every_source_has_promised() -> None:
    pulled = []

    def source(name: str, marks: list[int]) -> Iterator[Batch]:
        for mark in marks:
            pulled.append((name, mark))
            yield batch([(1, (mark - 1, Kind.AUTH, "x"))], mark)

    merged = merge(["a", "b"], [source("a", [10, 20, 30]), source("b", [15, 25])])
    first = next(merged)
    assert first.watermark == 10 and len(first) == 1
    assert pulled == [("a", 10), ("b", 15)]


def test_rows_at_the_end_of_time_come_out() -> None:
    merged = told(merge(["a"], [iter([batch([(1, (END_OF_TIME, Kind.AUTH, "x"))], 5)])]))
    assert [row[0] for row in merged] == [END_OF_TIME]


def test_each_batch_holds_only_the_texts_of_its_rows() -> None:
    events = [(number, (number, Kind.AUTH, f"user-{number}")) for number in range(1, 101)]
    ahead = iter([batch(events, 101)])
    ticks = iter([batch([], mark) for mark in range(10, 101, 10)])
    sizes = [len(one.texts) for one in merge(["ahead", "ticks"], [ahead, ticks])]
    assert sum(sizes) == 100 + len(sizes)


def test_no_sources_and_empty_sources_end() -> None:
    assert list(merge([], [])) == []
    assert list(merge(["a", "b"], [iter([]), iter([batch([], 5), batch([], NO_PROMISE)])])) == []


def test_join_keeps_texts_apart() -> None:
    one, two = batch([(1, (1, Kind.AUTH, "alice"))], 0), batch([(1, (1, Kind.AUTH, "bob"))], 0)
    joined = join(["a", "b"], [(1, one), (0, two)], 7)
    rows = joined.tables[Kind.AUTH]
    assert [joined.texts[code] for code in rows["user"]] == ["bob", "alice"]
    assert rows["source"].tolist() == [0, 1] and joined.watermark == 7
    assert one.tables[Kind.AUTH]["source"].tolist() == [0]  # what came in is left as it was
