"""Files of the gate's that a command and the service both write: theirs who own the directory, and nobody else's."""

import os
from pathlib import Path


def shared_mode(path: Path) -> None:
    """Give a file mode 0600 and, where root made it, the owner of its directory; raise OSError."""
    path.chmod(0o600)
    owner = path.parent.stat()
    if os.geteuid() == 0 and path.stat().st_uid != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)
