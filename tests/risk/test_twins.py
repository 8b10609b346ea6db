"""What two sensors tell of one deed counts once; what one sensor tells counts as told."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.twins import WINDOW_NS, Twins
from sensors.values import AUTH, HTTP, AuthOutcome, Batch, Kind

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
TEXTS = ("", "192.0.2.7", "/login", "POST", "/other", "web1", "web2", "198.51.100.9")


def _http(*told: tuple[float, int, str], resp: tuple[int, ...] = (0, 0, 0)) -> Batch:
    """(seconds, sensor, path) of requests; `resp` are codes of the servers that the sensors name."""
    rows = np.zeros(len(told), HTTP)
    for place, (at, sensor, path) in enumerate(told):
        rows[place] = 0
        rows["ts"][place], rows["source"][place], rows["seq"][place] = START + round(at * SECOND), sensor, place + 1
        rows["orig"][place], rows["path"][place], rows["method"][place] = 1, TEXTS.index(path), 3
        rows["resp"][place], rows["status"][place] = resp[sensor], 401
    return Batch(("edge.pcap", "access.log", "b.log"), 2**62, {Kind.HTTP: rows}, TEXTS)


def _kept(*told: tuple[float, int, str], resp: tuple[int, ...] = (0, 0, 0)) -> int:
    return len(Twins().without(_http(*told, resp=resp)).tables[Kind.HTTP])


def test_a_request_told_twice_counts_once() -> None:
    assert _kept((0, 0, "/login"), (0.4, 1, "/login")) == 1
    assert _kept((0, 1, "/login"), (0.4, 0, "/login"), (1, 0, "/login"), (1, 1, "/login")) == 2
    assert _kept((0, 0, "/login"), (0, 1, "/login"), (0, 2, "/login")) == 1


def test_what_one_sensor_tells_counts_as_often_as_it_tells() -> None:
    assert _kept(*[(n * 0.1, 0, "/login") for n in range(9)]) == 9
    assert _kept((0, 1, "/other"), *[(n * 0.1, 0, "/login") for n in range(9)]) == 10


def test_other_deeds_other_times_and_other_servers_are_no_twins() -> None:
    assert _kept((0, 0, "/login"), (0.4, 1, "/other")) == 2
    assert _kept((0, 0, "/login"), (WINDOW_NS / SECOND + 1, 1, "/login")) == 2
    assert _kept((0, 0, "/login"), (0.4, 1, "/login"), resp=(5, 6, 0)) == 2
    assert _kept((0, 0, "/login"), (0.4, 1, "/login"), resp=(7, 6, 0)) == 1  # an address and a name may be one server


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(("/login", "/other"))), max_size=40), st.integers(0, 40))
def test_the_maximum_counts_and_cuts_do_not_matter(told: Sequence[tuple[int, str]], cut: int) -> None:
    batch = _http(*[(n * 0.01, sensor, path) for n, (sensor, path) in enumerate(told)])
    kept = Twins().without(batch).tables[Kind.HTTP]
    wanted = sum(
        max((sum(each == (sensor, path) for each in told) for sensor in range(3)), default=0)
        for path in ("/login", "/other")
    )
    assert len(kept) == wanted
    twins, rows = Twins(), batch.tables[Kind.HTTP]
    parts = [
        twins.without(Batch(batch.sources, 0, {Kind.HTTP: part}, TEXTS)).tables[Kind.HTTP]
        for part in (rows[:cut], rows[cut:])
    ]
    assert np.array_equal(np.concatenate(parts), kept)


def test_a_line_that_stands_for_several_attempts() -> None:
    rows = np.zeros(3, AUTH)
    rows["ts"], rows["orig"], rows["user"] = START, 1, 5
    rows["source"], rows["count"], rows["outcome"] = (0, 1, 1), (2, 3, 0), AuthOutcome.FAILURE
    kept = Twins().without(Batch(("a", "b"), 0, {Kind.AUTH: rows}, TEXTS)).tables[Kind.AUTH]
    assert kept["count"].tolist() == [2, 1, 0]  # a line that only says it again stays, and counts nothing


def test_a_client_seen_by_two_sensors_is_judged_as_if_by_one(make_world: Any) -> None:
    wrong = [(n * 20.0, 1, "/login") for n in range(6)]
    one, two = make_world(), make_world()
    one.observe(_http(*wrong))
    two.observe(_http(*sorted([*wrong, *[(at + 0.3, 0, path) for at, _, path in wrong]])))
    assert two.worst("192.0.2.7") <= one.worst("192.0.2.7") > 0
    assert two.engine.counts()["twins_dropped"] == 6
