"""Paths in one spelling: what could be read in two ways is refused, whatever else comes is read in one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways.places import CACHED, MAX_PATH_BYTES, clean_host, clean_path, readings, sent_place

PIECES = st.sampled_from(
    ["/", "//", ".", "..", "%2e", "%2E", ";", ";x=1", "..;", "%3b", "%3F", "%23", "?", "#", "a", "b", "%20", "%C3%BC",
     "ü", "%FF", "%2f", "%5c", "\\", "%25", "%", "%00", "%0a", "%7f", "%c0%ae", "%e0%80%af", "\x00", " ", "\u2215",
     "\ud800"]
)  # fmt: skip
PATHS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=60)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a/b?c=/d/../e", "/a/b"),
        ("/a#b", "/a"),
        ("//a///b", "/a/b"),
        ("/./a/./b/.", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/%61%64min", "/admin"),
        ("/a%20b", "/a b"),
        ("/%C3%BC", "/ü"),
        ("/a;jsessionid=1/b;c", "/a/b"),
        ("/a/;x", "/a"),
        ("/a%3Fb", "/a%3Fb"),
        ("/a%3bb%23", "/a%3Bb%23"),
        ("/...", "/..."),
        ("/.a/..b", "/.a/..b"),
        ("/ADMIN", "/ADMIN"),
    ],
)
def test_one_spelling(target: str, path: str) -> None:
    assert clean_path(target) == path


@pytest.mark.parametrize(
    "target",
    [
        "", "a", "*", "http://example.org/a", "?a",
        "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/..%2fadmin", "/a/..%5c..%5cadmin",  # separators
        "/%252e%252e/", "/a%252fb", "/50%25",  # twice encoded
        "/a%00b", "/a\x00b", "/a%0d%0aHost:b", "/a\nb", "/a%1fb", "/a%7Fb", "/a b", "/a\tb",  # control characters
        "/%", "/%1", "/%zz", "/%u002f", "/a%",  # no encoding at all
        "/..", "/../a", "/a/../..", "/a/../../b", "/%2e%2e/a",  # above the root
        "/%c0%ae%c0%ae/a", "/a%C0%AFb", "/a%c1%9cb", "/a%e0%80%afb", "/a%F0%80%80%AFb",  # overlong
        "/admin/..;/health", "/admin/..;a=b/health", "/admin/.;/health", "/health/..%3B/admin", "/%2e%2e;/a",
        "/admin//../health", "/admin/;x/../health", "//../a",
    ],
)  # fmt: skip
def test_what_two_readers_could_take_for_different_places(target: str) -> None:
    with pytest.raises(DialectError) as caught:
        clean_path(target)
    assert caught.value.code == "gateway.path"


def test_a_long_path_is_read_as_long_as_it_may_be() -> None:
    longest = "/" + "a" * (MAX_PATH_BYTES - 1)
    assert clean_path(longest) == longest
    assert clean_path("/a/.." * 100 + "/" + "b" * CACHED) == "/" + "b" * CACHED
    with pytest.raises(DialectError):
        clean_path(longest + "a")


@given(PATHS)
@settings(derandomize=True, max_examples=1000, deadline=None)
def test_a_clean_path_is_clean_or_refused_when_read_again(target: str) -> None:
    try:
        path = clean_path(target)
    except DialectError:
        return
    assert path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/")[1:-1])
    try:
        again = clean_path(path)
    except DialectError:
        assert set(path) & {" "} or not path.isprintable()
        return
    assert again == path


@given(PATHS, st.sampled_from(["a", "b", "%62"]))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_two_spellings_of_a_place_are_one(target: str, more: str) -> None:
    try:
        path = clean_path(target)
        other = clean_path(f"/{more}/..{target}/.")
    except DialectError:
        return
    assert other.rstrip("/") == path.rstrip("/")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("", ""),
        ("Example.ORG", "example.org"),
        ("example.org:443", "example.org"),
        ("example.org.", "example.org"),
        ("example.org.:443", "example.org"),
        ("192.0.2.7:80", "192.0.2.7"),
        ("[2001:DB8::1]:80", "[2001:db8::1]"),
        ("[::1]", "[::1]"),
        ("2001:db8::1", "2001:db8::1"),
        ("my_host", "my_host"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    assert clean_host(text) == host


@pytest.mark.parametrize(
    "text",
    ["a/b", "a b", "a@b", "a,b", "[::1", "[::1]a", "[::1]a:80", "[a b]", "exämple.org", "\u212aelvin.org", "a\0"],
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(DialectError) as caught:
        clean_host(text)
    assert caught.value.code == "gateway.host"


@given(st.text(max_size=40) | st.text(alphabet="aA.:[]-_ 1", max_size=12))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_a_clean_host_stays_as_it_is(text: str) -> None:
    try:
        host = clean_host(text)
    except DialectError:
        return
    assert clean_host(host) == host


@pytest.mark.parametrize(
    "target",
    ["/admin%2Fusers", "/%61dmin%5cusers", "/x/..%2fadmin", "/%252e/admin%252fusers", "/admin/..;/x", "/admin//../x",
     "/x/..;/admin", "/x\\..\\admin", "/admin;%00", "/x//../admin", "/x%2f../admin/?a"],
)  # fmt: skip
def test_a_refused_path_is_taken_for_everything_that_it_could_be(target: str) -> None:
    with pytest.raises(DialectError):
        clean_path(target)
    found = readings(sent_place("Example.org", target))
    assert any(place == "example.org/admin" or place.startswith("example.org/admin/") for place in found), found


@given(PATHS)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_a_path_that_is_read_is_among_its_readings(target: str) -> None:
    found = readings(sent_place("a", target))
    try:
        path = clean_path(target)
    except DialectError:
        return
    assert ("a" + path.rstrip("/")).rstrip("/") in {place.rstrip("/") for place in found} or "%" in path


def test_names_of_routes_are_read_as_they_are() -> None:
    assert readings("") == {""}
    assert "/admin/" in readings("/admin/")
    assert readings("tcp:443") == {"tcp:443"}
    assert sent_place("a b", "/c") == "/c"
