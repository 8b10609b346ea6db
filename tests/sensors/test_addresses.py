"""Addresses and host names in one spelling."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.addresses import address_halves, address_text, host_entity, normalise_host
from sensors.values import EntityKind

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@settings(derandomize=True, deadline=None)
@given(ADDRESSES)
def test_halves_and_text_are_inverse(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    assert address_text(*address_halves(str(address))) == str(mapped or address)


@settings(derandomize=True, deadline=None)
@given(ADDRESSES)
def test_every_spelling_of_an_address_is_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    for spelling in (str(address), address.exploded, f"[{address}]", f" {address}".upper()):
        assert normalise_host(spelling) == normalise_host(str(address))
    assert host_entity(normalise_host(str(address))).kind is EntityKind.IP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""), ("::FFFF:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8:0:0::1", "2001:db8::1"),
        ("WWW.Example.ORG.", "www.example.org"), ("192.030.0.6", "192.030.0.6"),
    ],
)  # fmt: skip
def test_spellings(text: str, expected: str) -> None:
    assert normalise_host(text) == expected


def test_a_name_is_a_host() -> None:
    assert host_entity("www.example.org").kind is EntityKind.HOST


@settings(derandomize=True, deadline=None)
@given(st.text(alphabet="aZ09.:-%"), st.text())
def test_normalising_never_raises_and_is_done_once(host: str, anything: str) -> None:
    once = normalise_host(host)
    assert normalise_host(once) == once
    normalise_host(anything)


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1.2.3.4.5", "::g", "192.0.2.1/32"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        address_halves(text)
