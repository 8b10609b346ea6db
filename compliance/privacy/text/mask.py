"""Mask free text before it is stored: what identifies somebody becomes a tag such as <EMAIL>.

Pure, apart from loading Presidio when it is first needed. Guarantees: `mask` is idempotent, takes time linear in the
length of the text and keeps at most `MAX_LENGTH` characters (the rest is cut and marked <CUT>), and never connects
anywhere. Masks mail, IP and hardware addresses, telephone numbers, payment cards, IBANs, US social security numbers,
and names of users where logs write them. Does not recognise names of people, streets or companies in running text: that
takes a language model.
"""

from compliance.privacy.text.patterns import TAG, redact, until_stable
from compliance.privacy.text.phones import phone_spans
from compliance.privacy.text.recognisers import recognised_spans, require_presidio
from compliance.privacy.text.users import user_spans

MAX_LENGTH = 16_384
"""Characters of a text that are kept, tags included."""

_CUT = "<CUT>"
_WORD = 320
"""A text is cut between words where one ends within this many characters, so that no address is cut in half."""


def mask(text: str) -> str:
    """Return the text with what identifies somebody replaced by tags.

    Raises `MaskingUnavailableError` where Presidio is not installed.
    """
    require_presidio()
    return until_stable(lambda text: _shorten(_mask_once(text)), _shorten(text))


def _shorten(text: str) -> str:
    if len(text) <= MAX_LENGTH:
        return text
    end = MAX_LENGTH - len(_CUT)
    space = max(text.rfind(c, end - _WORD, end) for c in " \t\n")
    return text[: space if space > 0 else end] + _CUT


def _mask_once(text: str) -> str:
    """Mask the pieces between the tags; what is a tag already is left alone."""
    pieces, at = [], 0
    for tag in TAG.finditer(text):
        pieces += [_mask_piece(text[at : tag.start()]), tag[0]]
        at = tag.end()
    return "".join(pieces) + _mask_piece(text[at:])


def _mask_piece(text: str) -> str:
    if not text:
        return text
    spans = [(start, end, "USER") for start, end in user_spans(text)]
    if any(c.isdigit() for c in text):
        spans += recognised_spans(text)
        spans += [(start, end, "PHONE") for start, end in phone_spans(text)]
    return redact(_replace(text, spans))


def _replace(text: str, spans: list[tuple[int, int, str]]) -> str:
    """Replace each span by its tag; where two overlap, all of both goes under the tag of the earlier one."""
    pieces, at = [], 0
    hidden = 0
    for start, end, tag in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= hidden:
            pieces += [text[at:start], f"<{tag}>"]
        hidden = at = max(hidden, end)
    return "".join(pieces) + text[at:]
