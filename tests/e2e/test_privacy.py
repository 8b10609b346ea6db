"""Nothing that is stored names anybody in plain."""

import subprocess
from collections.abc import Callable
from pathlib import Path

Ostiary = Callable[..., "subprocess.CompletedProcess[str]"]
ATTACKER, USER = b"203.0.113.66", b"gwendolyn"


def test_no_plain_name_is_stored(ostiary: Ostiary, tmp_path: Path) -> None:
    lines = [
        f"2026-03-02T10:00:{second:02}+00:00 gate sshd[{second}]: Failed password for gwendolyn "
        "from 203.0.113.66 port 4 ssh2"
        for second in range(60)
    ]
    (tmp_path / "auth.log").write_text("\n".join(lines) + "\n")
    ostiary("run", "auth.log")
    stored = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert {"ostiary.db", "vault.db", "report.html"} <= {path.name for path in stored}
    for path in stored:
        content = path.read_bytes()
        assert ATTACKER not in content, path
        assert USER not in content, path


def test_the_state_directory_is_closed_to_others(ostiary: Ostiary, auth_log: Path, tmp_path: Path) -> None:
    ostiary("run", "auth.log")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    for name in ("root.key", "vault.db", "ostiary.db", "audit/log.key"):
        assert (tmp_path / "state" / name).stat().st_mode & 0o077 == 0, name
