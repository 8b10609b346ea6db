"""What is known of an address before it is cut off."""

from typing import Any

import numpy as np

from risk.activity import MAX_KEYS, MAX_USERS, MOST, STRETCH_S, Activity
from sensors.addresses import address_halves
from sensors.values import AUTH, FLOW, AuthOutcome, Batch, FlowEvent, Kind

SECOND = 1_000_000_000
A, B = "192.0.2.7", "2001:db8::1"


def flows(at: float, *origs: str) -> Batch:
    rows = np.zeros(len(origs), FLOW)
    rows["ts"], rows["event"] = int(at * SECOND), FlowEvent.START
    for row, orig in zip(rows, origs, strict=True):
        row["orig_hi"], row["orig_lo"] = address_halves(orig)
    return Batch(("a",), 0, {Kind.FLOW: rows})


def logins(at: float, orig: str, *users: str) -> Batch:
    rows = np.zeros(len(users), AUTH)
    rows["ts"], rows["outcome"], rows["orig"] = int(at * SECOND), AuthOutcome.SUCCESS, 1
    rows["user"] = range(2, len(users) + 2)
    return Batch(("a",), 0, {Kind.AUTH: rows}, ["", orig, *users])


def counted(*batches: Batch) -> Activity:
    activity = Activity()
    for batch in batches:
        activity.count(batch)
    return activity


def test_connections_and_their_share() -> None:
    share = counted(flows(1000, A, A, A, B)).share(A)
    assert (share.connections, share.all_connections, share.users) == (3, 4, 0)


def test_ends_of_flows_are_no_connections() -> None:
    batch: Any = flows(1000, A, A)
    batch.tables[Kind.FLOW]["event"][0] = FlowEvent.END
    assert counted(batch).share(A).connections == 1


def test_users_show_that_an_address_is_shared() -> None:
    assert counted(logins(1000, A, "ada", "ben"), logins(1010, A, "ada")).share(A).users == 2
    assert counted(logins(1000, A, *(f"u{n}" for n in range(50)))).share(A).users == MAX_USERS


def test_what_is_long_past_is_forgotten() -> None:
    activity = counted(flows(1000, A), flows(1000 + STRETCH_S, B))
    assert activity.share(A).connections == 1
    activity.count(flows(1000 + 2 * STRETCH_S, B))
    assert activity.share(A).connections == 0


def test_a_million_sources_do_not_grow_memory() -> None:
    activity = Activity()
    for turn in range(40):
        rows = np.zeros(25_000, FLOW)
        rows["ts"], rows["event"], rows["orig_hi"] = 1000 * SECOND, FlowEvent.START, 1 << 60
        rows["orig_lo"] = np.arange(25_000) + turn * 25_000
        activity.count(Batch(("a",), 0, {Kind.FLOW: rows}))
    assert activity.share(A).all_connections == 1_000_000
    assert len(activity._newer.connections) <= min(MAX_KEYS, 40 * MOST)


def test_nothing_seen() -> None:
    assert Activity().share(A).all_connections == 0
