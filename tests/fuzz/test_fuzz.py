"""Every family of parsers of strangers' bytes: its corpus through the compiled code, and a while of fuzzing."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
FAMILIES = sorted({path.stem for path in FOLDER.glob("*.py")} - {"run", "test_fuzz"})
SECONDS = 20


def load(family):
    spec = importlib.util.spec_from_file_location(f"fuzz_{family}", FOLDER / f"{family}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(family):
    return sorted((FOLDER / "corpus" / family).iterdir())


def test_there_are_at_most_thirteen_families_and_each_has_a_small_corpus():
    assert 2 <= len(FAMILIES) <= 13
    assert {path.name for path in (FOLDER / "corpus").iterdir()} == set(FAMILIES)
    for family in FAMILIES:
        assert 0 < sum(path.stat().st_size for path in inputs(family)) < 200_000, family


@pytest.mark.parametrize("family", FAMILIES)
def test_the_corpus_does_no_harm(family):
    module = load(family)
    for path in inputs(family):
        module.one(path.read_bytes())
    module.one(b"")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_fuzzing_finds_nothing(family, tmp_path, soak):
    if importlib.util.find_spec("atheris") is None:
        assert sys.version_info >= (3, 14), "atheris is missing"
        pytest.skip("atheris has no wheel for this Python")
    seed = 1 if soak == 1 else 0
    command = [FOLDER / "run.py", family, "--seconds", SECONDS * soak, "--seed", seed, "--found", tmp_path]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    assert list(tmp_path.iterdir()) == []
