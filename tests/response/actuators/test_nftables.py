"""Real nftables, real packets, in network namespaces of our own."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from policy.values import Decision
from response.actuators.nftables import NftablesActuator
from response.errors import CapabilityError, ToolMissingError
from response.guards import NeverList
from response.responder import Responder
from response.settings import ResponseSettings
from response.values import ActionState
from sensors.values import Entity, EntityKind

pytestmark = pytest.mark.root
Until = Callable[[Callable[[], bool]], None]

FOREIGN = """
table inet filter {
  set s { type ipv4_addr; elements = { 10.9.9.9 }; }
  chain input {
    type filter hook input priority 0; policy accept;
    ip saddr @s drop
  }
}
table ip nat {
  chain post { type nat hook postrouting priority 100; }
}
"""


def ip(text: str) -> Entity:
    return Entity(EntityKind.IP, text)


def passes(sender: socket.socket, receiver: socket.socket, payload: bytes) -> bool:
    """Say whether a packet arrives that nothing drops; a drop shows in the counter, so this is for what passes."""
    sender.sendto(payload, receiver.getsockname()[:2])
    return receiver.recv(64) == payload


def dropped(net: Any) -> int:
    with net.gateway.inside():
        return NftablesActuator().dropped()


def is_dropped(net: Any, until: Until, sender: socket.socket, receiver: socket.socket) -> bool:
    before = dropped(net)
    sender.sendto(b"lost", receiver.getsockname()[:2])
    until(lambda: dropped(net) > before)
    receiver.setblocking(False)
    try:
        return not receiver.recv(64)
    except BlockingIOError:
        return True
    finally:
        receiver.settimeout(30)


@pytest.mark.parametrize("way", ["input", "forward"])
@pytest.mark.parametrize(("blocked", "other"), [("10.77.1.2", "10.77.1.3"), ("fd77:1::2", "fd77:1::3")])
def test_a_blocked_address_is_dropped_and_others_pass(
    net: Any, until: Until, way: str, blocked: str, other: str
) -> None:
    six = ":" in blocked
    place, address = (
        (net.gateway, "fd77:1::1" if six else "10.77.1.1")
        if way == "input"
        else (net.server, "fd77:2::2" if six else "10.77.2.2")
    )
    actuator = NftablesActuator()
    with place.udp(address) as receiver, net.client.udp(blocked) as bad, net.client.udp(other) as good:
        assert passes(bad, receiver, b"before")
        with net.gateway.inside():
            actuator.apply(ip(blocked), 600)
            actuator.apply(ip(blocked), 300)
            ((target, left),) = actuator.active()
        assert target == ip(blocked)
        assert 0 < left <= 300
        assert is_dropped(net, until, bad, receiver)
        assert passes(good, receiver, b"other")
        with net.gateway.inside():
            assert actuator.undo(ip(blocked))
            assert not actuator.undo(ip(blocked))
        assert passes(bad, receiver, b"after")


def test_a_later_lease_replaces_the_earlier_one(net: Any) -> None:
    actuator = NftablesActuator()
    with net.gateway.inside():
        actuator.apply(ip("10.77.1.2"), 60)
        actuator.apply(ip("10.77.1.2"), 6000)
        ((_, left),) = actuator.active()
    assert left > 60


def test_the_kernel_ends_the_lease_of_a_killed_owner(net: Any, until: Until) -> None:
    program = (
        "import time; from response.actuators.nftables import NftablesActuator as A;"
        "from sensors.values import *; A().apply(Entity(EntityKind.IP, '10.77.1.2'), 2.0);"
        "print('done', flush=True); time.sleep(600)"
    )
    command = ["ip", "netns", "exec", net.gateway.name, sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "done\n"
        owner.send_signal(signal.SIGKILL)
    with net.gateway.inside():
        until(lambda: NftablesActuator().active() == [])
    with net.gateway.udp("10.77.1.1") as receiver, net.client.udp("10.77.1.2") as sender:
        assert passes(sender, receiver, b"free again")


def test_teardown_leaves_no_trace_and_others_tables_untouched(net: Any) -> None:
    with net.gateway.inside():
        subprocess.run(["nft", "-f", "-"], input=FOREIGN, check=True, text=True)
        before = net.gateway.ruleset()
        actuator = NftablesActuator()
        actuator.teardown()
        assert net.gateway.ruleset() == before
        actuator.apply(ip("10.77.1.2"), 600)
        actuator.apply(ip("fd77:1::2"), 600)
        during = net.gateway.ruleset()
        assert all(line in during for line in before.splitlines())
        actuator.teardown()
        actuator.teardown()
    assert net.gateway.ruleset() == before


def test_observe_leaves_the_ruleset_as_it_is(net: Any, log: Any, decide: Callable[..., Decision]) -> None:
    with net.gateway.inside():
        subprocess.run(["nft", "-f", "-"], input=FOREIGN, check=True, text=True)
        before = net.gateway.ruleset()
        responder = Responder(ResponseSettings(), NftablesActuator(), NeverList(), log)
        action = responder.consider(decide("10.77.1.2"), 0)
        assert action is not None and action.state is ActionState.PROPOSED
        responder.expire(10**18)
    assert net.gateway.ruleset() == before


def test_enforce_and_undo_all_with_the_real_thing(net: Any, log: Any, decide: Callable[..., Decision]) -> None:
    with net.gateway.inside():
        actuator = NftablesActuator()
        responder = Responder(ResponseSettings(mode="enforce"), actuator, NeverList(), log)
        for target in ("10.77.1.2", "::ffff:10.77.1.3", "fd77:1::2"):
            responder.consider(decide(target), 0)
        assert [target.id for target, _ in actuator.active()] == ["10.77.1.2", "10.77.1.3", "fd77:1::2"]
        responder.undo_all()
    assert net.gateway.ruleset() == ""
    assert log.states() == ["active"] * 3 + ["undone"] * 3


def test_a_missing_capability_is_named(net: Any) -> None:
    program = (
        "from response.actuators.nftables import NftablesActuator as A\nfrom response.errors import CapabilityError\n"
        "try: A().active()\nexcept CapabilityError as error: print(error)"
    )
    command = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", program]
    assert "CAP_NET_ADMIN" in net.gateway.run(*command)
    assert CapabilityError.code == "response.capability"


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("response.actuators.nftables._PLACES", ("/nowhere/nft",))
    with pytest.raises(ToolMissingError, match="nft"):
        NftablesActuator().active()
