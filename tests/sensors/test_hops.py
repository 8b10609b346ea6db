"""Headers count as far as trusted hops wrote them, and not a step further."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors import hops
from sensors.errors import BadProxyError
from sensors.hops import HEADERS, MAX_BYTES, proxies

OWN = ("10.0.0.0/8", "2001:db8::/32", "198.51.100.0/24 cf-connecting-ip", "10.9.0.0/16 forwarded")
LIST = "x-forwarded-for"


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("203.0.113.9", {LIST: "192.0.2.1"}, "203.0.113.9"),
        ("10.0.0.1", {LIST: "192.0.2.1"}, "192.0.2.1"),
        ("10.0.0.1", {LIST: "127.0.0.1, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"),
        ("10.0.0.1", {LIST: "[2001:db9::1]:80"}, "2001:db9::1"),
        ("10.0.0.1", {LIST: "192.0.2.1:4711"}, "192.0.2.1"),
        ("::ffff:10.0.0.1", {LIST: "::ffff:192.0.2.1"}, "192.0.2.1"),
        ("10.0.0.1", {LIST: "192.0.2.1, unknown"}, "10.0.0.1"),
        ("10.0.0.1", {LIST: "192.0.2.1, x, 10.0.0.7"}, "10.0.0.7"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {"cf-connecting-ip": "192.0.2.1"}, "10.0.0.1"),
        ("10.0.0.1", {LIST: "192.0.2.1, 198.51.100.7", "cf-connecting-ip": "192.0.2.2"}, "192.0.2.2"),
        ("198.51.100.7", {"cf-connecting-ip": "198.51.100.8"}, "198.51.100.8"),
        ("203.0.113.9", {"cf-connecting-ip": "192.0.2.1"}, "203.0.113.9"),
        ("10.9.0.1", {LIST: "192.0.2.9", "forwarded": 'for=192.0.2.1;proto=https, For="[2001:db9::1]:1"'},
         "2001:db9::1"),
        ("10.9.0.1", {LIST: "192.0.2.9", "forwarded": "for=_hidden"}, "10.9.0.1"),
        ("unix:", {LIST: "192.0.2.1"}, "unix:"),
    ],
)  # fmt: skip
def test_clients(peer: str, headers: dict[str, str], client: str) -> None:
    assert proxies(OWN).client(peer, headers) == client


@pytest.mark.parametrize("line", ["everybody", "10.0.0.1/8", "10.0.0.0/8 x-client", ""])
def test_bad_lines(line: str) -> None:
    with pytest.raises(BadProxyError, match="trusted_proxies"):
        proxies((line,))


addresses = st.ip_addresses().map(str)
texts = st.dictionaries(st.sampled_from(HEADERS), st.text() | st.lists(addresses).map(", ".join))


@given(addresses, texts)
def test_who_is_not_trusted_is_the_client(peer: str, headers: dict[str, str]) -> None:
    address = ipaddress.ip_address(peer)
    shown = str(getattr(address, "ipv4_mapped", None) or address)
    assert proxies(()).client(peer, headers) == shown
    if not any(
        address in ipaddress.ip_network(line.split()[0])
        for line in OWN
        if ipaddress.ip_network(line.split()[0]).version == address.version
    ):
        assert proxies(OWN).client(peer, headers) == shown


@given(st.lists(st.sampled_from(["10.0.0.2", "10.1.2.3", "192.0.2.1", "192.0.2.2", "junk"]), max_size=20))
def test_nothing_left_of_the_first_untrusted_hop_counts(hops: list[str]) -> None:
    trusted = {"10.0.0.2", "10.1.2.3"}
    expected = "10.0.0.1"
    for hop in reversed(hops):
        if hop == "junk":
            break
        expected = hop
        if hop not in trusted:
            break
    assert proxies(OWN).client("10.0.0.1", {LIST: ", ".join(hops)}) == expected


def test_what_is_too_long_for_an_address_is_not_kept() -> None:
    before = hops._read.cache_info().currsize
    for number in range(100):
        assert proxies(OWN).client("10.0.0.1", {LIST: f"{number:0100}"}) == "10.0.0.1"
    assert hops._read.cache_info().currsize <= before + 1


@given(st.text())
def test_a_long_header_is_read_at_its_end(noise: str) -> None:
    assert proxies(OWN).client("10.0.0.1", {LIST: noise * MAX_BYTES + ", 192.0.2.1"}) == "192.0.2.1"
