"""Capture filters: compiled without privileges or interfaces, refused with tcpdump's words."""

import os
import shutil

import pytest

from sensors.errors import BadFilterError
from sensors.packets.filters import compile_filter

needs_tcpdump = pytest.mark.skipif(
    shutil.which("tcpdump") is None and not os.environ.get("CI"), reason="tcpdump is missing"
)


@needs_tcpdump
def test_a_filter_is_compiled_for_the_link_type():
    ethernet, raw = compile_filter("tcp port 80", 1), compile_filter("tcp port 80", 101)
    assert len(ethernet) % 8 == len(raw) % 8 == 0
    assert ethernet != raw
    assert len(ethernet) > 8


def test_an_empty_filter_is_no_filter():
    assert compile_filter(" ", 1) == b""


@needs_tcpdump
@pytest.mark.parametrize(
    "expression", ["port 99999", "tcp and (", "-w /tmp/x", "--version", "tcp; reboot", "a\0b", "host"]
)
def test_a_bad_filter_is_a_typed_error(expression):
    with pytest.raises(BadFilterError) as caught:
        compile_filter(expression, 1)
    assert caught.value.code == "sensors.filter"
