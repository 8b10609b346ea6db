"""What normal traffic looks like, learnt once and frozen: the default that ships, and a site's own."""

from risk.reference.reference import Reference

__all__ = ["Reference"]
