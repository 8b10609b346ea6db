"""The record of a decision with its personal fields taken out, and put back.

Pure. Guarantees: `restore` of what `hide` gave is the same document, to the byte in canonical form; what is shown names
nobody who was given to `hide`. Only fields that may hold a name are looked at: who asks, what for, and further facts;
words of the schema (`normal`, `http`) are never taken for one. Does not encrypt: whoever stores a record does.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from policy.errors import DocumentError

Path: TypeAlias = tuple[str, ...]
"""Where a field lies in a document, from the outside in."""

NAMING: tuple[Path, ...] = (("subject", "id"), ("subject", "identity"), ("resource", "name"))
"""Fields that may hold a name, besides the facts of the environment."""
OWNER: Path = ("resource", "owner")
"""Another; documents of earlier versions lack it."""
FACTS: Path = ("environment", "facts")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A document without names, and what it takes to put them back."""

    shown: Mapping[str, Any]
    """The document (JSON values, hence Any) with pseudonyms for names."""
    own: Mapping[Path, str]
    """Where the subject's own name stood, and how it was written."""
    others: tuple[Path, ...]
    """Where somebody else is named: the pseudonym there is the way back."""


def hide(document: Mapping[str, Any], subject: str, others: Mapping[str, str]) -> Hidden:
    """Return a document under pseudonyms: `subject` is the subject's, `others` those of further names in it."""
    name = document["subject"]["id"]
    own: dict[Path, str] = {}
    elsewhere: dict[Path, str] = {}
    for path in _naming(document):
        value = _at(document, path)
        if value == name:
            own[path] = value
        elif value in others:
            elsewhere[path] = others[value]
    shown = _with(document, dict.fromkeys(own, subject) | elsewhere)
    return Hidden(shown, own, tuple(elsewhere))


def restore(hidden: Hidden, find: Callable[[str], str]) -> dict[str, Any]:
    """Return the document as the policy saw it; `find` tells the name behind a pseudonym, or raises."""
    found = {path: find(_at(hidden.shown, path)) for path in hidden.others}
    return _with(hidden.shown, {**hidden.own, **found})


def pack(hidden: Hidden) -> bytes:
    """Return the secret part of a hidden document, to be encrypted."""
    return json.dumps([list(hidden.own.items()), hidden.others], separators=(",", ":")).encode()


def unpack(shown: Mapping[str, Any], packed: bytes) -> Hidden:
    """Return the hidden document again; raise `DocumentError` where `packed` is not one's secret part."""
    try:
        own, others = json.loads(packed)
        return Hidden(shown, {tuple(path): str(value) for path, value in own}, tuple(tuple(path) for path in others))
    except (ValueError, TypeError, RecursionError) as error:
        raise DocumentError("the personal fields of the record cannot be read") from error


def _naming(document: Mapping[str, Any]) -> Iterator[Path]:
    yield from NAMING
    if OWNER[1] in _at(document, OWNER[:1]):
        yield OWNER
    yield from ((*FACTS, fact) for fact in _at(document, FACTS))


def _at(document: Mapping[str, Any], path: Sequence[str]) -> Any:  # a JSON value
    try:
        for key in path:
            document = document[key]
    except (KeyError, TypeError) as error:
        raise DocumentError(f"the document has no {'.'.join(path)}") from error
    return document


def _with(document: Mapping[str, Any], values: Mapping[Path, str]) -> dict[str, Any]:
    """Return a copy with other values at some places; what is not on the way to one is shared."""
    copy = dict(document)
    for path, value in values.items():
        _at(document, path)
        inner = copy
        for key in path[:-1]:
            inner[key] = dict(inner[key])
            inner = inner[key]
        inner[path[-1]] = value
    return copy
