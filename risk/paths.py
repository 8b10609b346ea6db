"""Paths that tools ask for blindly, at every server: what is asked for there and missing wasn't linked anywhere.

`is_fished` knows the names of what administrates databases, mailboxes, shops and pages by the web, and scripts. It says
nothing of a request that succeeds. Linear time (RE2). Source: OWASP Web Security Testing Guide 4.2.5 (administration
interfaces) and the names under which these applications are installed by default.
"""

from functools import lru_cache

import re2  # type: ignore[import-untyped]  # the wheel brings no types

_NAMES = (
    r"(?:php|my|mysql|sql|db|pg|php-?my|phppg)[-_]?admin", r"pma", r"adminer", r"mysqlmanager", r"websql", r"sqlbuddy",
    r"(?:v-?|ext-?|i|my)?web-?mails?", r"ext-?mails?", r"mails?", r"round-?cube", r"squirrel-?mail", r"horde", r"rcube",
    r"wp-(?:login|admin|signup|config|cron|json)", r"xmlrpc", r"typo3", r"joomla", r"administrator", r"xampp",
    r"cgi-bin", r"web-?admin", r"vtiger\w*", r"magento", r"manager", r"jmx-console", r"hnap1", r"solr", r"jenkins",
    r"owa",
)  # fmt: skip
_FISHED = re2.compile(
    rf"(?i)/(?:{'|'.join(_NAMES)})(?:[-_.\d][-_.\w]{{0,20}})?(?:[/?]|$)|\.(?:php\d?|phtml|aspx?|jsp|cgi|pl|exe|dll)(?:[/?]|$)"
)


@lru_cache(maxsize=4096)
def is_fished(path: str) -> bool:
    """Whether a path is one that tools try everywhere, or a script; a server that names no path says it of a script."""
    return not path or _FISHED.search(path[:512]) is not None
