"""Where logs write the name of a user: after `user=`, `for invalid user`, in home directories, in addresses of pages.

Pure. Guarantees: time linear in the length of the text (every repetition is bounded). A name is whatever stands in such
a place; names of people in running text are not recognised.
"""

import re
from collections.abc import Iterator

from compliance.privacy.text.patterns import TAG

_BARE = r"""[^\s,;&"'<>()\[\]{}|]{1,128}"""
_LOGIN = r"[A-Za-z0-9_][\w.@$+-]{0,127}"
_NOBODY = frozenset({"-", "(null)", "null", "none", "unknown", "?", "n/a", "*", "=", ":"})

_PLACES = [
    # key=value, key: value, "key":"value"
    r"(?i:(?<!:)\b(?:[rsd]?user(?:_?name)?|logname|acct|account|account name|usrname|login(?==))\b)(?!::)"
    rf"""["']?(?:=|\s{{1,3}}=\s{{1,3}}|\s{{0,3}}:\s{{0,4}})(?:"(?P<q>[^"\n<>]{{1,128}})"|'(?P<a>[^'\n<>]{{1,128}})'|(?P<b>{_BARE}))""",
    # sshd and PAM
    rf"(?i:\b(?:invalid|illegal|unknown|authenticating|existing|nonexistent|disconnected from|for|of|not known) user) "
    rf"(?P<c>{_BARE})",
    r"(?i:\b(?:password|publickey|\S{1,40}/pam|none|hostbased|gssapi-with-mic) for (?:invalid user |illegal user )?)"
    r"(?P<d>[^\n]{1,128}?)(?= from )",
    rf"(?i:\bwith username |\bpassword changed for |\bexceeded for (?:invalid user )?)(?P<e>{_LOGIN})",
    rf"(?i:\bby )(?P<f>{_LOGIN})(?=\(uid=)",
    rf"\bUser (?P<g>{_LOGIN})(?= (?:from|not|is|was|logged|authenticated|failed|has)\b)",
    r"""(?i:\buser )(?:"(?P<h>[^"\n<>]{1,128})"|'(?P<i>[^'\n<>]{1,128})'|\[(?P<j>[^\]\n<>]{1,128})\])""",
    rf"\bsu(?:do)?(?:\[\d{{1,10}}\])?:\s{{1,8}}(?P<k>{_LOGIN})(?= : )",
    # the third column of an access log
    r"(?m:^[^\s<>]{1,128} [^\s<>]{1,64} )(?P<l>[^\s<>]{1,128})(?= \[\d{1,2}/)",
    # paths and URLs
    r"(?:/home/|/Users/|\\Users\\)(?P<m>[^/\\\s:<>\"']{1,64})",
    r"://(?P<n>[^/\s@<>]{1,128})(?=@)",
]
_PATTERN = re.compile("|".join(_PLACES))


def user_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the names of users stand in a text."""
    for match in _PATTERN.finditer(text):
        group = match.lastgroup
        if group and match[group].lower() not in _NOBODY and not TAG.search(match[group]):
            yield match.span(group)
