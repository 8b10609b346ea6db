"""Flows over a restart: the same rows as without one, and nothing believed that is damaged."""

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.errors import UnreadableStateError
from sensors.packets.pipeline import Pipeline
from sensors.settings import SensorSettings
from sensors.values import Counters, Kind

A, B = "10.0.0.1", "10.0.0.2"


def pipeline(seed=1, **limits):
    return Pipeline("test", SensorSettings(**limits), Counters(), seed)


def feed(into, frames):
    """Feed (time, frame, number) and return the flow rows."""
    data = b"".join(frame for _, frame, _ in frames)
    offset = 0
    for packet, (ts, frame, number) in zip(into.packets, frames, strict=False):
        packet["ts"], packet["number"], packet["link"] = ts, number, 1
        packet["offset"], packet["captured"], packet["wire"] = offset, len(frame), len(frame)
        offset += len(frame)
    batch = into.feed(np.frombuffer(data, np.uint8), len(frames)) if frames else None
    return [] if batch is None else [batch.tables.get(Kind.FLOW)]


def joined(parts):
    return np.concatenate([part for part in parts if part is not None])


steps = st.tuples(
    st.sampled_from([0.0, 0.001, 0.3, 1.0, 7.0, 70.0, -2.0]),
    st.integers(0, 3),
    st.sampled_from(["S", "SA", "A", "PA", "FA", "R", "RA"]),
    st.booleans(),
    st.sampled_from([b"", b"SSH-2.0-x\r\n"]),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=2, max_size=60), st.data(), st.sampled_from([2, 5, 1000]))
def test_a_restart_in_mid_flow_changes_no_row(build, script, data, room):
    clock, frames = 1000.0, []
    for number, (wait, port, flags, back, payload) in enumerate(script, 1):
        clock += wait
        ends = (B, 80, A, 1000 + port) if back else (A, 1000 + port, B, 80)
        frame = build.tcp(*ends, flags, payload) if port else build.udp(*ends, payload)
        frames.append((build.base + round(clock * 1e9), frame, number))
    limits = {"max_flows": room, "idle_timeout_s": 5, "active_timeout_s": 20}
    whole = pipeline(1, **limits)
    expected = joined([*feed(whole, frames), whole.finish().tables.get(Kind.FLOW)])
    cut = data.draw(st.integers(0, len(frames)))
    before, after = pipeline(1, **limits), pipeline(2, **limits)
    parts = feed(before, frames[:cut])
    rest, saved = before.suspend()
    assert Kind.FLOW not in rest.tables
    after.resume(saved)
    parts += [*feed(after, frames[cut:]), after.finish().tables.get(Kind.FLOW)]
    assert np.array_equal(joined(parts), expected)


def test_fragments_find_their_first_one_after_a_restart(build):
    ether = bytes(12) + b"\x08\0"
    first = ether + build.ip(17, b"\0\1\0\2\0\x28\0\0" + bytes(16), A, B, piece=0x2000)
    later = ether + build.ip(17, bytes(16), A, B, piece=3)
    before, after = pipeline(), pipeline()
    feed(before, [(build.base, first, 1)])
    after.resume(before.suspend()[1])
    feed(after, [(build.base + 1, later, 2)])
    assert after.finish().tables[Kind.FLOW]["orig_packets"].tolist() == [2]


@pytest.fixture
def saved(build):
    source = pipeline()
    feed(source, [(build.base + i, build.udp(A, i, B, 53), i + 1) for i in range(20)])
    return source.suspend()[1]


def signed(content):
    return content + hashlib.sha256(content).digest()


def test_what_is_damaged_or_of_another_version_is_refused(saved, soak):
    chance = np.random.default_rng(5)
    for place in chance.integers(0, len(saved), 60 * soak):
        damaged = bytearray(saved)
        damaged[place] ^= 1 << int(chance.integers(8))
        with pytest.raises(UnreadableStateError):
            pipeline().resume(bytes(damaged))
    content = saved[:-32]
    others = [
        b"", b"x" * 50, saved[:-1], signed(content.replace(b"flows 1", b"flows 2")), signed(content[:200]),
        signed(content.replace(b"orig_hi", b"orig_xx")), signed(content[: content.index(b"\x93NUMPY")]),
    ]  # fmt: skip
    for other in others:
        with pytest.raises(UnreadableStateError):
            pipeline().resume(other)


def test_more_flows_than_there_is_room_for_are_refused(saved):
    with pytest.raises(UnreadableStateError, match="room"):
        pipeline(max_flows=16).resume(saved)


def test_objects_are_never_loaded(saved):
    from io import BytesIO

    out = BytesIO()
    np.lib.format.write_array(out, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableStateError):
        pipeline().resume(signed(saved[: saved.index(b"\n") + 1] + out.getvalue()))
