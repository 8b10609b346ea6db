"""Whatever the spelling, nobody on the never-list is acted on, and no limit is passed."""

import ipaddress
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from response.guards import (
    ALWAYS,
    HOUR_NS,
    MAX_LEASE_S,
    HourlyBudget,
    Limits,
    NeverList,
    Usage,
    check,
    network,
    protect,
    single_address,
    target_of,
)
from sensors.values import Entity, EntityKind

NONE_YET = Usage(last_hour=0, active=0)
LIMITS = Limits(per_hour=3, max_active=2, lease_s=600.0)
NEVER = NeverList(protect(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"], "the operator exempted it"))


def code(target: str, never: NeverList = NEVER, lease_s: float = 60.0, usage: Usage = NONE_YET) -> str | None:
    refusal = check(Entity(EntityKind.IP, target), lease_s, never, usage, LIMITS)
    return refusal and refusal.code


def spellings(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[str]:
    plain = str(address)
    if isinstance(address, ipaddress.IPv4Address):
        value = int(address)
        mapped = ipaddress.IPv6Address(0xFFFF << 32 | value)
        dotted = f"::FFFF:{plain}"
        return [plain, f" {plain} ", f"{plain}.", str(mapped), mapped.exploded, dotted, f"[{dotted}]", f"{dotted}%eth0"]
    return [plain, address.exploded, plain.upper(), f"[{plain}]", f"{plain}%eth0"]


addresses = st.one_of(
    st.ip_addresses(v=4), st.ip_addresses(v=6),
    *(st.ip_addresses(network=entry.network) for entry in (*NEVER.protected, *ALWAYS)),
)  # fmt: skip


@given(addresses, st.data())
def test_every_spelling_of_an_address_is_judged_alike(address: ipaddress.IPv4Address, data: st.DataObject) -> None:
    listed = any(
        address.version == entry.network.version and address in entry.network for entry in (*NEVER.protected, *ALWAYS)
    )
    spelling = data.draw(st.sampled_from(spellings(address)))
    if listed:
        assert code(spelling) == "guard.never"
    elif not getattr(address, "ipv4_mapped", None):
        assert code(spelling) is None
        acted_on = target_of(Entity(EntityKind.IP, spelling))
        assert acted_on == Entity(EntityKind.IP, str(address))


@given(st.ip_addresses(v=4), st.integers(8, 32))
def test_a_mapped_network_protects_the_ipv4_addresses_it_names(address: ipaddress.IPv4Address, bits: int) -> None:
    listed = NeverList(protect([f"::ffff:{address}/{96 + bits}"], "mapped"))
    assert code(str(address), listed) == "guard.never"


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[0-9a-f:./%\[\]-]{0,45}", fullmatch=True)))
def test_any_text_is_either_one_address_or_refused(text: str) -> None:
    address = single_address(text)
    if address is None:
        assert code(text) == "guard.not-an-address"
    else:
        assert target_of(Entity(EntityKind.IP, text)) == Entity(EntityKind.IP, str(address))


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0/8", "192.0.2.1/32", "example.org", "1.2.3", "010.1.1.1", "1.2.3.4,5.6.7.8"]
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    assert code(text) == "guard.not-an-address"


@pytest.mark.parametrize("kind", [kind for kind in EntityKind if kind is not EntityKind.IP])
def test_other_entities_are_refused(kind: EntityKind) -> None:
    assert target_of(Entity(kind, "192.0.2.1")) is None


@pytest.mark.parametrize("lease_s", [0.0, -1.0, math.nan, math.inf])
def test_an_action_without_an_end_is_refused(lease_s: float) -> None:
    assert code("192.0.2.1", lease_s=lease_s) == "guard.no-end"


def test_a_lease_beyond_the_longest_is_refused() -> None:
    assert code("192.0.2.1", lease_s=600.1) == "guard.lease"
    refusal = check(
        Entity(EntityKind.IP, "192.0.2.1"), MAX_LEASE_S + 1, NEVER, NONE_YET, Limits(1, 1, lease_s=math.inf)
    )
    assert refusal is not None and refusal.code == "guard.lease"


def test_limits() -> None:
    assert code("192.0.2.1", usage=Usage(last_hour=2, active=1)) is None
    assert code("192.0.2.1", usage=Usage(last_hour=3, active=1)) == "guard.budget"
    assert code("192.0.2.1", usage=Usage(last_hour=0, active=2)) == "guard.max-active"


@given(st.lists(st.integers(0, 3 * HOUR_NS), max_size=60), st.integers(1, 5))
def test_no_hour_sees_more_than_its_budget(times: list[int], per_hour: int) -> None:
    budget, acted = HourlyBudget(per_hour), []
    for now in times:  # in any order: a clock may go back
        if budget.spent(now) < per_hour:
            budget.spend(now)
            acted.append(now)
    for start in acted:
        assert sum(1 for then in acted if start <= then < start + HOUR_NS) <= per_hour


def test_networks_that_are_none_are_refused() -> None:
    assert network("192.0.2.9/24") == ipaddress.ip_network("192.0.2.0/24")
    with pytest.raises(ValueError):
        network("nowhere")
