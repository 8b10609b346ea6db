"""`ostiary flows`: a line of JSON for each flow, nothing kept."""

import json
import subprocess
import sys
from pathlib import Path

VECTORS = Path(__file__).parents[2] / "vectors" / "packets"


def flows(*arguments, **options):
    command = [sys.executable, "-m", "ostiary", "flows", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, **options)


def test_flows_of_files_and_of_standard_input(tmp_path):
    path = VECTORS / "plain.pcap"
    done = flows(path, "-", input=path.read_bytes(), cwd=tmp_path)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == second
    assert (first["id.orig_h"], first["id.resp_p"], first["orig_pkts"]) == ("10.0.0.1", 2222, 4)
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []


def test_what_is_malformed_is_said_and_what_cannot_be_read_is_an_error(tmp_path):
    assert b"1 malformed" in flows(VECTORS / "cut.pcap", cwd=tmp_path).stderr
    assert flows(Path(__file__), cwd=tmp_path).returncode == 3
    assert flows(cwd=tmp_path).returncode == 2
