"""A cached kernel is compiled anew when anything changes that it builds on."""

import os
import subprocess
import sys
from pathlib import Path

from sensors.packets import jit

PROGRAM = "from sensors.one import total; print(total())"


def test_a_change_in_a_file_that_is_imported_from_is_noticed(tmp_path):
    package = tmp_path / "sensors"
    (package / "packets").mkdir(parents=True)
    for path in (package / "__init__.py", package / "packets" / "__init__.py"):
        path.touch()
    (package / "packets" / "jit.py").write_text(Path(jit.__file__).read_text())
    (package / "two.py").write_text("from sensors.three import (\n    THREE,\n)\nTWO = THREE - 1\n")
    (package / "one.py").write_text(
        "from sensors.packets.jit import kernel\nfrom sensors.two import TWO\n\n"
        "@kernel\ndef total() -> int:\n    return TWO\n"
    )
    answers = []
    for value in (3, 3, 11):
        (package / "three.py").write_text(f"THREE = {value}\n")
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        environment |= {"NUMBA_DEBUG_CACHE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment
        )
        answers.append((done.stdout.split()[-1], "data loaded" in done.stdout))
    assert answers == [("2", False), ("2", True), ("10", False)]


def test_the_stamp_covers_kernels_and_constants_of_other_files():
    folder = Path(jit.__file__).parent
    files = {path.name for path in jit.built_on(folder / "flow" / "follow.py")}
    assert {"follow.py", "tcp.py", "history.py", "columns.py", "values.py"} <= files
    assert "messages.py" not in files
