"""A deep look: what comes back, and that nothing that happens in there gets out."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sensors.deep.look import MAX_FACTS, MAX_TEXT, look, missing

ROOT = Path(__file__).parents[3]
CAPTURE = ROOT / "examples" / "captures" / "office.pcap"


def python(text):
    return (sys.executable, "-c", text)


def head(count):
    """Return the first packets of a capture."""
    data, at = CAPTURE.read_bytes(), 24
    for _ in range(count):
        at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
    return data[:at]


@pytest.fixture
def tshark():
    if missing():
        pytest.fail(missing()) if os.environ.get("CI") else pytest.skip(f"{missing()}: it is NOT asked")


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("tshark")
def test_what_tshark_sees_is_told_in_words():
    found = look(head(120))
    assert found.problem == ""
    assert found.facts[0] == "120 packets were looked at"
    assert any(fact.startswith("protocols: ") and "dns" in fact for fact in found.facts)
    assert any(fact.startswith("asked by DNS for ") for fact in found.facts)


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("tshark")
def test_what_is_no_capture_is_a_problem_or_nothing():
    found = look(b"no capture at all" * 9)
    assert found.problem or found.facts == ("0 packets were looked at",)


def test_a_process_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    note = tmp_path / "pid"
    started = (
        "import subprocess, time; p = subprocess.Popen(['sleep', '600']); "
        f"open({str(note)!r}, 'w').write(str(p.pid)); time.sleep(600)"
    )
    begun = time.monotonic()
    assert "longer" in look(b"x", python(started), 3).problem
    assert time.monotonic() - begun < 120
    if note.exists():
        end = time.monotonic() + 60
        while Path(f"/proc/{note.read_text()}/cmdline").exists() and time.monotonic() < end:
            if b"sleep" not in Path(f"/proc/{note.read_text()}/cmdline").read_bytes():
                break  # a zombie, or another process
            time.sleep(0.05)
        assert time.monotonic() < end


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import os; os.abort()", "ended with -6"),
        ("raise SystemExit(3)", "ended with 3"),
        ("print('no json')", "no sense"),
        ("print('{}')", "no sense"),
        ("print('[1]')", "no sense"),
        ("print('[' * 100000)", ""),
    ],
)
def test_what_goes_wrong_is_a_problem(text, problem):
    found = look(b"x" * 10, python(text), 60)
    assert problem in found.problem and found.problem and not found.facts


def test_what_cannot_be_started():
    assert "started" in look(b"x", ("/nonexistent",)).problem


def test_it_is_believed_in_form_only():
    said = ["a\x1b[31m\n" + "b" * 999] * 40
    found = look(b"x", python(f"print({json.dumps(json.dumps(said))})"), 60)
    assert len(found.facts) == MAX_FACTS
    assert all(fact.isprintable() and len(fact) == MAX_TEXT for fact in found.facts)


TRY = """
import json, os, socket, subprocess
from sensors.deep.sandbox import Bounds, enter
enter(Bounds())
found = {"uid": os.getuid(), "interfaces": [name for _, name in socket.if_nameindex()]}
def refused(what):
    try:
        what()
    except (OSError, MemoryError):
        return True
    return False
found["connect"] = refused(lambda: socket.socket().connect(("127.0.0.1", PORT)))
found["write"] = refused(lambda: os.write(os.open("/tmp/ostiary-sandbox-test", os.O_CREAT | os.O_WRONLY, 0o600), b"x"))
found["read"] = refused(lambda: open(SECRET).read())
found["memory"] = refused(lambda: bytearray(3 << 30))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
found["new_privileges"] = status["NoNewPrivs"].strip() == "0"
found["files"] = refused(lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(100)])
print(json.dumps(found))
"""


@pytest.mark.root
@pytest.mark.parametrize("before", ["", "from ostiary.privileges import keep_only; keep_only()\n"])
def test_the_sandbox_holds(tmp_path, before):
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root: the sandbox is NOT tried")
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        (tmp_path / "secret").write_text("x")
        text = TRY.replace("PORT", str(server.getsockname()[1])).replace("SECRET", repr(str(tmp_path / "secret")))
        done = subprocess.run(
            [sys.executable, "-c", before + text], cwd=ROOT, capture_output=True, text=True, check=True
        )
    found = json.loads(done.stdout)
    if ctypes.CDLL(None).syscall(444, None, 0, 1) < 1:  # no Landlock: only what another user may not read is refused
        found["read"] = True
    assert found == {
        "uid": 65534, "interfaces": ["lo"], "connect": True, "write": True, "read": True, "memory": True, "files": True,
        "new_privileges": False,
    }  # fmt: skip
