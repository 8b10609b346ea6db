"""What is loaded beforehand is what is used later."""

import pytest

from sensors.logs.source import BlockParser
from sensors.warm import SAMPLES, read, warm_up


@pytest.mark.parametrize(("parser", "text"), SAMPLES)
def test_samples_are_read_by_the_block(parser: type[BlockParser], text: bytes) -> None:
    assert read(parser(), text.split(b"\n")) == 1


def test_warming_up_leaves_nothing() -> None:
    warm_up()
    warm_up()
