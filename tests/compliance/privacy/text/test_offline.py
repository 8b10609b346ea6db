"""Masking works without any network, does not even try, and is loaded only when it is needed."""

import os
import shutil
import subprocess
import sys

import pytest

MASK = """
import sys
def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        raise SystemExit(f"tried to reach the network: {event} {arguments}")
sys.addaudithook(forbid)
from compliance.privacy.text import mask
text = "card 4111 1111 1111 1111, GB82WEST12345698765432, SSN 536-90-4399, a@example.org, 192.0.2.7, call 415-555-2671"
masked = mask(text)
assert masked == "card <CREDIT_CARD>, <IBAN>, SSN <SSN>, <EMAIL>, <IP>, call <PHONE>", masked
assert "presidio_analyzer" in sys.modules
import spacy.language
from presidio_analyzer.nlp_engine import SpacyNlpEngine
import gc
assert not [o for o in gc.get_objects() if type(o) in (spacy.language.Language, SpacyNlpEngine)], "a model was loaded"
print("masked")
"""
LAZY = """
import sys
import compliance.privacy, compliance.privacy.text, compliance.audit
from compliance.privacy.text import mask
assert mask("Invalid user bob from 192.0.2.7 port 22") == "Invalid user <USER> from <IP> port 22"
loaded = {"presidio_analyzer", "spacy", "phonenumbers", "tldextract"} & set(sys.modules)
assert not loaded, loaded
print("light")
"""


def run(code: str, *prefix: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_masking_never_tries_to_connect() -> None:
    assert run(MASK) == "masked\n"


def test_masking_works_in_a_namespace_without_network() -> None:
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        reason = "this machine makes no network namespaces"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    assert run(MASK, unshare, "-rn") == "masked\n"


def test_importing_and_plain_lines_load_nothing_heavy() -> None:
    assert run(LAZY) == "light\n"
