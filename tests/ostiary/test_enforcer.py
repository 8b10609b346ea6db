"""The enforcer: its checks, and the real process with its socket in a network namespace of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.enforcer import EnforcerClient
from ostiary.enforcer.core import Enforcer
from ostiary.enforcer.protocol import MAX_REQUEST_BYTES, Answer, Apply, encode, read_answer, read_request
from response.errors import ActuatorError, EnforcerDownError, EnforcerProtocolError, MachineFactsError, RefusedError
from response.guards import HOUR_NS, NeverList, protect
from response.settings import ResponseSettings
from sensors.values import Entity, EntityKind

NEVER = NeverList(protect(["10.0.0.0/8"], "it is a gateway of this machine"))
SETTINGS = ResponseSettings(mode="enforce", lease_s=60.0, max_actions_per_hour=3, max_active=2)


@dataclass
class Memory:
    """An actuator that only remembers."""

    name: str = "memory"
    held: dict[Entity, float] = field(default_factory=dict)

    def apply(self, target: Entity, lease_s: float) -> None:
        self.held[target] = lease_s

    def undo(self, target: Entity) -> bool:
        return self.held.pop(target, None) is not None

    def active(self) -> Sequence[tuple[Entity, float]]:
        return sorted(self.held.items())

    def teardown(self) -> None:
        self.held.clear()


@dataclass
class Clock:
    now: int = 0

    def __call__(self) -> int:
        return self.now


def ip(text: str) -> Entity:
    return Entity(EntityKind.IP, text)


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def apply(target: str, lease_s: float = 60.0) -> bytes:
    return line(op="apply", target=target, lease_s=lease_s)


def make(settings: ResponseSettings = SETTINGS, clock: Clock | None = None) -> tuple[Enforcer, Memory]:
    memory = Memory()
    return Enforcer(lambda: settings, memory, lambda _: NEVER, clock or Clock()), memory


BAD = [
    b"", b"\n", b"null", b"[]", b"{}", b"\xff\xfe", b"{", b"[" * 4000, line(op="flush"), line(op=["apply"]),
    line(op="apply", target="192.0.2.1"), line(op="apply", target="192.0.2.1", lease_s="60"),
    line(op="apply", target="192.0.2.1", lease_s=True), line(op="apply", target="192.0.2.1", lease_s=-1),
    b'{"op":"apply","target":"192.0.2.1","lease_s":NaN}', b'{"op":"apply","target":"192.0.2.1","lease_s":1e999}',
    line(op="apply", target=3221225985, lease_s=60), line(op="apply", target="192.0.2.1", lease_s=60, table="filter"),
    line(op="undo"), line(op="list", all=True), line(op="apply", target="1" * 65, lease_s=60),
    b'{"op":"ping"}' + b" " * MAX_REQUEST_BYTES,
]  # fmt: skip


@pytest.mark.parametrize("garbage", BAD)
def test_what_is_no_request_is_answered_with_a_typed_error(garbage: bytes) -> None:
    enforcer, memory = make()
    answer = enforcer.answer(garbage)
    assert (answer.ok, answer.code) == (False, EnforcerProtocolError.code)
    assert not memory.held
    assert read_answer(encode(answer)) == answer


@given(st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.sampled_from(["apply", "undo", "10.0.0.1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["op", "target", "lease_s", "x"]), inner, max_size=4), max_leaves=8,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_anything_gets_an_answer(garbage: bytes) -> None:
    enforcer, memory = make()
    answer = enforcer.answer(garbage)
    assert read_answer(encode(answer)) == answer
    assert all(NEVER.why(address) is None for address in _addresses(memory))


def _addresses(memory: Memory) -> Iterator[object]:
    from response.guards import single_address

    return (single_address(target.id) for target in memory.held)


@pytest.mark.parametrize(
    ("target", "lease_s", "reason"),
    [
        ("10.1.2.3", 60.0, "guard.never"),
        ("::ffff:10.1.2.3", 60.0, "guard.never"),
        ("::ffff:a01:203", 60.0, "guard.never"),
        ("127.0.0.1", 60.0, "guard.never"),
        ("192.0.2.1", 60.5, "guard.lease"),
    ],
)
def test_the_guards_are_asked_although_the_client_did_not(target: str, lease_s: float, reason: str) -> None:
    enforcer, memory = make()
    answer = enforcer.answer(apply(target, lease_s))
    assert (answer.ok, answer.code, answer.reason) == (False, RefusedError.code, reason)
    assert not memory.held


@pytest.mark.parametrize("target", ["192.0.2.0/24", "0.0.0.0/0", "example.org", "@blocked4"])
def test_what_is_no_single_address_is_no_target(target: str) -> None:
    enforcer, memory = make()
    assert enforcer.answer(apply(target)).code == EnforcerProtocolError.code
    assert not memory.held


def test_budget_and_cap_hold_and_a_longer_lease_is_free() -> None:
    clock = Clock()
    enforcer, memory = make(clock=clock)
    assert enforcer.answer(apply("192.0.2.1")).ok
    assert enforcer.answer(apply("192.0.2.2")).ok
    assert enforcer.answer(apply("192.0.2.3")).reason == "guard.max-active"
    for _ in range(9):
        assert enforcer.answer(apply("192.0.2.1", 30.0)).ok
    memory.teardown()
    assert enforcer.answer(apply("192.0.2.3")).ok
    assert enforcer.answer(apply("192.0.2.4")).reason == "guard.budget"
    clock.now = HOUR_NS
    assert enforcer.answer(apply("192.0.2.4")).ok


def test_it_acts_only_where_its_own_settings_say_enforce() -> None:
    enforcer, memory = make(ResponseSettings())
    assert enforcer.answer(apply("192.0.2.1")).reason == "guard.observe"
    assert not memory.held


def test_without_knowing_whom_to_spare_it_does_nothing() -> None:
    def unknown(_: ResponseSettings) -> NeverList:
        raise MachineFactsError("ip is not installed")

    memory = Memory()
    assert (
        Enforcer(lambda: SETTINGS, memory, unknown, Clock()).answer(apply("192.0.2.1")).code == MachineFactsError.code
    )
    assert not memory.held


def test_undo_list_and_teardown() -> None:
    enforcer, memory = make()
    enforcer.answer(apply("::ffff:192.0.2.1"))
    assert enforcer.answer(line(op="list")).active == (("192.0.2.1", 60.0),)
    assert enforcer.answer(line(op="undo", target="192.0.2.1")).undone
    assert not enforcer.answer(line(op="undo", target="192.0.2.1")).undone
    enforcer.answer(apply("2001:db8::1"))
    assert enforcer.answer(line(op="teardown")).ok
    assert not memory.held


def test_requests_and_answers_survive_the_way() -> None:
    request = Apply(target="192.0.2.1", lease_s=60.0)
    assert read_request(encode(request)) == request
    with pytest.raises(EnforcerProtocolError):
        read_answer(b'{"ok": true, "more": 1}')


def test_a_client_without_an_enforcer_says_so(tmp_path: Path) -> None:
    with pytest.raises(EnforcerDownError):
        EnforcerClient(tmp_path / "nobody.sock").ping()


def test_a_client_does_not_wait_for_ever(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        with pytest.raises(EnforcerDownError):
            EnforcerClient(tmp_path / "silent.sock", timeout_s=0.05).ping()


NETWORK = (
    "ip link set lo up && ip link add d0 type veth peer name d1 && ip addr add 10.77.9.1/24 dev d0"
    " && ip link set d0 up && ip link set d1 up && ip route add default via 10.77.9.254"
)


@dataclass
class Running:
    """A real enforcer."""

    process: subprocess.Popen[str]
    socket: Path

    @property
    def client(self) -> EnforcerClient:
        return EnforcerClient(self.socket)

    def ruleset(self) -> str:
        command = ["nsenter", "-t", str(self.process.pid), "-n", "nft", "list", "ruleset"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def talk(self, data: bytes) -> list[Answer]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.socket))
            with suppress(BrokenPipeError):  # it may refuse before we have said everything
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            answers: list[Answer] = []
            with connection.makefile("rb") as stream, suppress(ConnectionResetError):
                answers.extend(read_answer(answer) for answer in stream)
            return answers

    def capabilities(self) -> dict[str, int]:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {name: int(value, 16) for name, value in (line.split(":") for line in lines if line.startswith("Cap"))}


def write_settings(file: Path, mode: str) -> None:
    file.write_text(
        f'[response]\nmode = "{mode}"\nenforcer_socket = "{file.with_name("enforcer.sock")}"\nlease_s = 60.0\n'
        "max_actions_per_hour = 3\nmax_active = 2\nnever = ['198.51.100.0/24']\n"
    )


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("needs root, ip and nft")
    started: list[subprocess.Popen[str]] = []

    def begin(uid: int = os.geteuid(), mode: str = "enforce") -> Running:
        config, path = tmp_path / "ostiary.toml", tmp_path / "enforcer.sock"
        write_settings(config, mode)
        program = f"{sys.executable} -m ostiary.enforcer --config {config} --uid {uid}"
        command = ["unshare", "-n", "sh", "-c", f"{NETWORK} && exec {program}"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(process)
        running = Running(process, path)
        deadline = time.monotonic() + 60
        while not _listens(path):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline, "it never listened"
            time.sleep(0.02)
        return running

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.mark.root
def test_the_real_enforcer_cuts_off_and_lets_in(start: Start) -> None:
    running = start()
    client = running.client
    client.ping()
    client.apply(ip("192.0.2.1"), 60.0)
    client.apply(ip("2001:db8::1"), 60.0)
    assert [target.id for target, _ in client.active()] == ["192.0.2.1", "2001:db8::1"]
    assert "192.0.2.1 timeout 1m" in running.ruleset()
    assert client.undo(ip("192.0.2.1"))
    assert not client.undo(ip("192.0.2.1"))
    client.teardown()
    assert running.ruleset() == ""


@pytest.mark.root
def test_the_real_enforcer_spares_its_machine_and_keeps_its_budget(start: Start) -> None:
    running = start()
    for spared in ("10.77.9.1", "10.77.9.254", "::ffff:10.77.9.254", "10.77.9.255", "198.51.100.7", "127.0.0.1"):
        with pytest.raises(RefusedError) as caught:
            running.client.apply(ip(spared), 60.0)
        assert caught.value.reason == "guard.never", spared
    with pytest.raises(RefusedError) as caught:
        running.client.apply(ip("192.0.2.1"), 61.0)
    assert caught.value.reason == "guard.lease"
    assert running.ruleset() == ""
    for number in (1, 2, 3):
        running.client.apply(ip(f"192.0.2.{number}"), 60.0)
        running.client.undo(ip(f"192.0.2.{number}"))
    with pytest.raises(RefusedError) as caught:
        running.client.apply(ip("192.0.2.4"), 60.0)
    assert caught.value.reason == "guard.budget"


@pytest.mark.root
def test_another_user_is_not_heard(start: Start) -> None:
    running = start(uid=os.geteuid() + 4321)
    (answer,) = running.talk(b'{"op":"ping"}\n')
    assert (answer.ok, answer.code) == (False, "response.enforcer-peer")
    with pytest.raises(ActuatorError, match="not for this user"):
        running.client.apply(ip("192.0.2.1"), 60.0)
    assert running.ruleset() == ""
    assert running.socket.stat().st_mode & 0o777 == 0o600
    assert running.socket.stat().st_uid == os.geteuid() + 4321


@pytest.mark.root
def test_garbage_does_not_end_it(start: Start) -> None:
    running = start()
    for garbage in (b"\n", b"nonsense\n", b"\x00" * 300 + b"\n", b"[" * 3000 + b"\n", b"x" * 100_000):
        answers = running.talk(garbage)
        assert [answer.code for answer in answers] == [EnforcerProtocolError.code]
    assert running.talk(b"unfinished") == []
    assert [answer.ok for answer in running.talk(b'{"op":"ping"}\n{"op":"pong"}\n{"op":"ping"}\n')] == [
        True,
        False,
        True,
    ]
    assert running.process.poll() is None


@pytest.mark.root
def test_it_keeps_one_capability(start: Start) -> None:
    kept = start().capabilities()
    assert kept["CapEff"] == kept["CapPrm"] == kept["CapBnd"] == 1 << 12
    assert not kept["CapInh"] & ~(1 << 12)


@pytest.mark.root
def test_sigterm_ends_it_and_leases_stay(start: Start) -> None:
    running = start()
    running.client.apply(ip("192.0.2.1"), 60.0)
    with Path(f"/proc/{running.process.pid}/ns/net").open() as namespace:
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        command = ["nsenter", f"--net=/proc/self/fd/{namespace.fileno()}", "nft", "list", "ruleset"]
        kept = subprocess.run(command, check=True, capture_output=True, text=True, pass_fds=[namespace.fileno()]).stdout
    assert "192.0.2.1 timeout 1m" in kept
    assert not running.socket.exists()


@pytest.mark.root
def test_a_second_enforcer_does_not_take_the_socket(start: Start) -> None:
    running = start()
    command = [sys.executable, "-m", "ostiary.enforcer", "--config", str(running.socket.with_name("ostiary.toml"))]
    second = subprocess.run(["unshare", "-n", *command], check=False, capture_output=True, text=True)
    assert second.returncode == 2
    assert "another enforcer" in second.stderr
    running.client.ping()


@pytest.mark.root
def test_a_socket_left_behind_is_no_obstacle(start: Start) -> None:
    running = start()
    running.process.kill()
    running.process.wait(60)
    assert running.socket.exists()
    start().client.ping()


@pytest.mark.root
def test_changed_settings_count_at_once_and_wrong_ones_do_not(start: Start) -> None:
    running = start(mode="observe")
    config = running.socket.with_name("ostiary.toml")
    with pytest.raises(RefusedError) as caught:
        running.client.apply(ip("192.0.2.1"), 60.0)
    assert caught.value.reason == "guard.observe"
    write_settings(config, "enforce")
    running.client.apply(ip("192.0.2.1"), 60.0)
    write_settings(config, "whatever")
    running.client.apply(ip("192.0.2.1"), 60.0)
    write_settings(config, "observe")
    with pytest.raises(RefusedError):
        running.client.apply(ip("192.0.2.1"), 60.0)
    assert running.client.undo(ip("192.0.2.1"))


def test_a_smaller_budget_forgives_nothing() -> None:
    memory, now = Memory(), {"settings": SETTINGS}
    enforcer = Enforcer(lambda: now["settings"], memory, lambda _: NEVER, Clock())
    assert all(enforcer.answer(apply(f"192.0.2.{number}")).ok for number in (1, 2))
    memory.teardown()
    now["settings"] = replace(SETTINGS, max_actions_per_hour=2)
    assert enforcer.answer(apply("192.0.2.3")).reason == "guard.budget"
    now["settings"] = SETTINGS
    assert enforcer.answer(apply("192.0.2.3")).ok
