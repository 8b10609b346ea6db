"""The real tools that the recording uses, and which of them and in which version are here."""

import shutil
import subprocess

TOOLS: dict[str, list[str]] = {
    "ip": ["-V"],
    "ethtool": ["--version"],
    "tcpdump": ["--version"],
    "nginx": ["-v"],
    "sshd": ["-V"],
    "ssh": ["-V"],
    "ssh-keygen": [],
    "sshpass": ["-V"],
    "scp": [],
    "dnsmasq": ["--version"],
    "dig": ["-v"],
    "curl": ["--version"],
    "openssl": ["version"],
    "ping": ["-V"],
    "iperf3": ["--version"],
    "nmap": ["--version"],
    "hydra": ["-h"],
    "medusa": ["-V"],
    "hping3": ["--version"],
    "unshare": ["--version"],
}
"""Name of the program -> how to ask for its version; [] where it cannot be asked."""


def missing_tools() -> list[str]:
    """Return the names of the programs that are not on PATH."""
    return [name for name in TOOLS if shutil.which(name) is None]


def tool_versions() -> dict[str, str]:
    """Return program -> what it says of its version (its first line that holds a digit)."""
    return {name: _version(name, ask) for name, ask in TOOLS.items() if ask}


def _version(name: str, ask: list[str]) -> str:
    said = subprocess.run([name, *ask], capture_output=True, text=True, timeout=10, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    # `sshd -V` of older releases complains first and gives its version in the second line.
    known = (line.strip() for line in lines if any(c.isdigit() for c in line) and "usage" not in line.lower())
    return next(known, "")[:60]
