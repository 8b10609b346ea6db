"""What normal traffic looks like, learnt once and frozen: the default that ships, and a site's own."""

from functools import cache
from importlib.resources import files

from risk.reference.reference import Reference

__all__ = ["Reference", "default_reference"]


@cache
def default_reference() -> Reference | None:
    """Return the reference that ships with the package; None where the installation has none. It never changes."""
    data = files(__name__) / "default.npz"
    return Reference.from_bytes(data.read_bytes()) if data.is_file() else None
