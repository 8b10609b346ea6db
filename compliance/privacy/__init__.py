"""Personal data: pseudonyms, commitments, the vault that knows who stands behind them, and masked text.

Importing this package loads neither Presidio nor spaCy; the first call of `mask` does.
"""

from compliance.keys import RootKey, open_root_key
from compliance.privacy.commitments import commit, opens
from compliance.privacy.pseudonyms import Pseudonymiser
from compliance.privacy.vault import Vault

__all__ = ["Pseudonymiser", "RootKey", "Vault", "commit", "open_root_key", "opens"]
