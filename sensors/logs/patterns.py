"""Regular expressions on hostile bytes: RE2, whose time is linear in the input (Cox, "Regular Expression Matching in
the Wild", 2010). Bytes are matched as bytes (Latin-1), so invalid UTF-8 can't hide a line; `.` matches anything.
"""

from collections.abc import Sequence

import re2  # type: ignore[import-untyped]  # google-re2 ships no types


def _options() -> "re2.Options":
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    options.log_errors = False
    return options


class Pattern:
    """One expression in RE2's syntax."""

    def __init__(self, expression: str) -> None:
        self._expression = re2.compile(expression.encode(), _options())
        self.names: tuple[str, ...] = tuple(
            name.decode() for name, _ in sorted(self._expression.groupindex.items(), key=lambda item: item[1])
        )
        """Names of the groups, in order."""

    def groups(self, text: bytes) -> tuple[bytes, ...] | None:
        """Return what the groups hold ("" for one that took no part), or None where nothing matches."""
        found = self._expression.search(text)
        return None if found is None else found.groups(b"")

    def end(self, text: bytes) -> int:
        """Return where the first match ends; -1 where nothing matches."""
        found = self._expression.search(text)
        return -1 if found is None else found.end()

    def matches(self, text: bytes) -> bool:
        """Whether the expression is found in the text."""
        return self._expression.search(text) is not None


class PatternSet:
    """Many expressions tried in one pass."""

    def __init__(self, expressions: Sequence[str]) -> None:
        self._set = re2.Set.SearchSet(_options())
        for expression in expressions:
            self._set.Add(expression.encode())
        self._set.Compile()

    def first(self, text: bytes) -> int:
        """Return the index of the first expression that is found in the text; -1 for none."""
        found = self._set.Match(text)
        return min(found) if found else -1

    def all(self, text: bytes) -> list[int]:
        """Return the indices of all expressions that are found in the text, ascending."""
        return sorted(self._set.Match(text) or ())
