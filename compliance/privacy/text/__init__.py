"""Free text without what identifies somebody. Importing this package does not load Presidio; calling `mask` does."""

from compliance.privacy.text.mask import MAX_LENGTH, mask

__all__ = ["MAX_LENGTH", "mask"]
