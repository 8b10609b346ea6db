"""The recognisers of Presidio that need no language model, called one by one behind cheap gates.

Guarantees: no model is loaded or fetched and nothing connects anywhere. Presidio's analyzer engine, whose default
downloads a language model when it starts, is never built; its recogniser of mail addresses, which may fetch the list of
public suffixes, is not used (`patterns` has its own). Presidio itself takes a second to load: that happens when a gate
opens for the first time.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from string import ascii_lowercase
from typing import TYPE_CHECKING

from compliance.errors import MaskingUnavailableError

if TYPE_CHECKING:
    from presidio_analyzer import PatternRecognizer

THRESHOLD = 0.3
"""Score from which a recogniser is believed (0 to 1). Cards and account numbers have passed their checksum then."""

_GATES = {
    "CREDIT_CARD": re.compile(r"\d(?:[ -]?\d){11}"),
    "IBAN": re.compile(r"[A-Za-z]{2}\d{2}[ -]?[A-Za-z0-9]{4}[ -]?[A-Za-z0-9]{4}"),
    "SSN": re.compile(r"\d{3}[- .]\d{2}[- .]\d{4}"),
}
# A number that is called a card is one, whether or not its checksum holds: people mistype.
_NAMED_CARD = re.compile(
    r"(?i:\bcards?\b|\bcc\b|\bvisa\b|\bmaster ?card\b|\bamex\b|\bmaestro\b)[^\d\n]{0,24}"
    r"(?P<number>\d(?:[ -]?\d){11,18})(?!\d)"
)
_UPPER = {ord(c): c.upper() for c in ascii_lowercase}
"""Upper case that keeps every character in its place."""


@cache
def require_presidio() -> None:
    """Raise `MaskingUnavailableError` where Presidio is not installed; does not load it."""
    if find_spec("presidio_analyzer") is None:
        raise MaskingUnavailableError("masking free text needs Presidio: pip install 'ostiary[run]'")


@cache
def _recognisers() -> dict[str, "PatternRecognizer"]:
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, IbanRecognizer, UsSsnRecognizer

    return {"CREDIT_CARD": CreditCardRecognizer(), "IBAN": IbanRecognizer(), "SSN": UsSsnRecognizer()}


def recognised_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where payment cards, bank accounts (IBAN) and US social security numbers stand, with their tags."""
    for match in _NAMED_CARD.finditer(text):
        yield *match.span("number"), "CREDIT_CARD"
    for tag, gate in _GATES.items():
        if gate.search(text):
            recogniser = _recognisers()[tag]
            for result in recogniser.analyze(text.translate(_UPPER), recogniser.supported_entities):
                if result.score >= THRESHOLD:
                    yield result.start, result.end, tag
