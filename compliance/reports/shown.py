"""Texts as a reader sees them: nothing invisible, nothing that turns the order of what follows."""

import re

# C0 and C1 controls but tab and newline; bidirectional controls (Unicode UAX 9); non-characters and lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]"
)


def shown(text: str) -> str:
    """Return the text with each character that would hide or reorder others replaced by U+FFFD."""
    return _UNSEEN.sub("\ufffd", text)
