"""What all tests share: examples drawn by a fixed seed, and many more of them by chance in a soak.

`OSTIARY_SOAK=1` (`make soak`) multiplies the examples of every property and the rounds of every crash test.
"""

import os

import pytest
from hypothesis import settings

SOAK = 40 if os.environ.get("OSTIARY_SOAK") else 1

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def soak() -> int:
    """Return by how much to multiply rounds; 1 unless this is a soak."""
    return SOAK


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give properties more examples in a soak."""
    for item in items:
        test = getattr(item, "function", None)
        if SOAK > 1 and getattr(test, "is_hypothesis_test", False):
            given = getattr(test, "_hypothesis_internal_use_settings", settings())  # where @settings leaves its choice
            more = settings(given, max_examples=given.max_examples * SOAK, derandomize=False)
            test._hypothesis_internal_use_settings = more  # type: ignore[union-attr]
