"""Routes: the longest prefix by segment, a host before none, and what is declared where a place is not certain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.settings import GateSettings, RouteSettings
from ostiary.sidecar.routes import Route, Routes
from policy.gateways.places import readings

NAMES = ("/admin/", "/admin/health", "/shop", "example.org/", "example.org/shop/cart/", "checkout", "tcp:443")


def routes(*names: str, **routes: RouteSettings) -> Routes:
    return Routes(GateSettings(routes={**dict.fromkeys(names, RouteSettings()), **routes}), "closed")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("", "/"),
        ("/", "/"),
        ("/admin", "/admin/"),
        ("/admin/", "/admin/"),
        ("/admin/users/7", "/admin/"),
        ("/administrator", "/"),
        ("/admin/health", "/admin/health"),
        ("/admin/health/live", "/admin/health"),
        ("/admin/healthy", "/admin/"),
        ("/x/admin", "/"),
        ("other.org/shop/cart/7", "/shop"),
        ("example.org", "example.org/"),
        ("example.org/", "example.org/"),
        ("example.org/admin", "example.org/"),
        ("example.org/shop", "example.org/"),
        ("example.org/shop/cart", "example.org/shop/cart/"),
        ("example.org/shop/cart/7/8/9", "example.org/shop/cart/"),
        ("example.org.evil/", "/"),
        ("checkout", "checkout"),
        ("checkout/pay", "checkout"),
        ("tcp:443", "tcp:443"),
        ("tcp:4433", "/"),
    ],
)
def test_the_longest_prefix_by_segment_wins(place: str, name: str) -> None:
    assert routes(*NAMES).find(place).name == name


def longest_prefix(names: tuple[str, ...], place: str) -> str:
    """What the rule says, word by word."""
    _, slash, path = place.partition("/")
    for whole in (place, slash + path):
        found = [name for name in names if (whole + "/").startswith(name.rstrip("/") + "/") and name != "/"]
        if found and whole:
            return max(found, key=lambda name: len(name.rstrip("/")))
    return "/"


SEGMENTS = st.lists(st.sampled_from(["admin", "health", "shop", "cart", "x"]), max_size=5)


@given(st.sampled_from(["example.org", "other.org", "", "checkout"]), SEGMENTS, st.sampled_from(["", "/"]))
def test_every_place_has_the_route_that_the_rule_says(host: str, segments: list[str], tail: str) -> None:
    place = host + "".join(f"/{segment}" for segment in segments) + tail
    assert routes(*NAMES).find(place).name == longest_prefix(NAMES, place)


def test_what_a_route_does_not_say_is_the_defaults() -> None:
    found = Routes(
        GateSettings(
            mode="enforce",
            routes={
                "/": RouteSettings("public"),
                "/a": RouteSettings("sensitive", "observe", "open", critical=True),
                "/b": RouteSettings(failure="last-known"),
            },
        ),
        "closed",
    )
    assert found.find("/x") == Route("/", "public", True, "closed", False)
    assert found.find("/a") == Route("/a", "sensitive", False, "open", True)
    assert found.find("/b") == Route("/b", "normal", True, "last-known", False)
    assert Routes(GateSettings(), "open").find("/x") == Route("/", "normal", False, "open", False)


FAILING = {
    "/admin/": RouteSettings(mode="enforce"),
    "/api/": RouteSettings(mode="enforce", failure="open"),
    "/shop/": RouteSettings(mode="observe"),
}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("a.org/shop/x", "/shop/"),
        ("a.org/shop/50%25off", "/shop/"),
        ("a.org/shop/..%2fapi", "/api/"),
        ("a.org/api/..;/shop", "/api/"),
        ("a.org/api%2fadmin", "/api/"),
        ("a.org/api/..%5cadmin/x", "/admin/"),
        ("a.org/admin/..%2fshop", "/admin/"),
        ("a.org/shop%252f..%252fadmin", "/admin/"),
        ("a.org/admin%2fusers", "/admin/"),
        ("", "/"),
    ],
)
def test_an_odd_spelling_is_no_way_around_a_route(place: str, name: str) -> None:
    assert routes(**FAILING).strictest(readings(place)).name == name


def test_a_place_may_be_as_deep_as_it_likes() -> None:
    found = routes(*NAMES)
    assert found.find("example.org/shop/cart" + "/a" * 4_000).name == "example.org/shop/cart/"
    assert found.find("/a" * 4_000).name == "/"
