"""Who asks: from what a request brings to one normalised subject."""

from policy.identity.subjects import Identities, Sources

__all__ = ["Identities", "Sources"]
