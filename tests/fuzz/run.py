"""Fuzz one family of parsers of strangers' bytes, led by coverage (atheris, libFuzzer).

    python tests/fuzz/run.py FAMILY [--seconds 20] [--seed 1] [--found FOLDER]

A family is a file beside this one, `<family>.py`, that has

    def one(data: bytes) -> None     feed the bytes to the parsers; raise for whatever must not happen
    MAX_BYTES = 4096                 (optional) inputs are not made longer than this

and a folder of small, committed inputs to begin with, `corpus/<family>/`. Inputs that are found on the way are thrown
away, but one that makes `one` raise, run for more than ten seconds or take more than 2 GiB is kept in FOLDER (the
working directory by default), and this program ends with a code other than 0. Such an input, made small, is then added
to the corpus: `test_fuzz.py` feeds the corpus to the compiled code at each test run.

Compiled kernels run as plain Python here, so that coverage is seen inside them too.
"""

import sys

sys.path.pop(0)  # this folder: a family may be called like a module of the standard library

import argparse
import importlib.util
import os
import tempfile
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parent
PACKAGES = ["sensors", "risk", "policy", "response", "compliance", "ostiary"]


def load(family: str) -> ModuleType:
    """Return the module of a family."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{family}", FOLDER / f"{family}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--found", type=Path, default=Path.cwd(), help="where an input that fails is kept")
    arguments = parser.parse_args()
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    sys.path.insert(0, str(FOLDER.parents[1]))
    import atheris
    import numpy as np

    np.seterr(over="ignore")  # hashes wrap around, as they do when compiled
    with atheris.instrument_imports(include=PACKAGES):
        family = load(arguments.family)
    with tempfile.TemporaryDirectory() as grown:
        options = {
            "max_total_time": arguments.seconds,
            "seed": arguments.seed,
            "artifact_prefix": f"{arguments.found}/{arguments.family}-",
            "max_len": getattr(family, "MAX_BYTES", 4096),
            "timeout": 10,
            "rss_limit_mb": 2048,
            "print_final_stats": 1,
        }
        command = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items())]
        atheris.Setup([*command, grown, str(FOLDER / "corpus" / arguments.family)], family.one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
