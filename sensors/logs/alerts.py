"""Names that alerts of several sources have in common."""

MALFORMED = "Generic Protocol Command Decode"
"""The class that Suricata's own rules give packets that are malformed or unexpected; they mean little."""
