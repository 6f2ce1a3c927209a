"""Black-box tests of the program. SMOLLM names another program than build/smollm, for example one with sanitizers."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "models"))


class Smollm:
    """Runs the program with a cache of its own."""

    def __init__(self, cache):
        self.path = os.environ.get("SMOLLM", str(ROOT / "build" / "smollm"))
        self.cache = cache
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "HOME": str(cache), "no_proxy": "*"}

    @property
    def models(self):
        return self.cache / "smollm"

    def run(self, *arguments, timeout=60, **options):
        options = {"env": self.environment, **options}
        return subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                              **options)

    def start(self, *arguments, **options):
        options = {"env": self.environment, **options}
        return subprocess.Popen([self.path, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **options)


def assert_one_line_error(result, code=1):
    """Failed as a program should: by its exit code, with one line for a person, and nothing from a sanitizer."""
    assert result.returncode == code, (result.returncode, result.stderr)
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, result.stderr
    assert result.stderr.startswith("smollm") and result.stderr.count("\n") == 1, result.stderr


@pytest.fixture
def smollm(tmp_path):
    return Smollm(tmp_path / "cache")


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    """A small model in F32."""
    from make_model import make_model

    path = tmp_path_factory.mktemp("models") / "small.gguf"
    make_model(path, arch="llama", type="F32", hidden=64, ffn=96, layers=2, heads=2, kv_heads=1, vocab=352)
    return path


@pytest.fixture(scope="session")
def parrot_path(tmp_path_factory):
    """A model that answers every message with the same words, some of which are wide."""
    from parrot_model import make_parrot

    path = tmp_path_factory.mktemp("models") / "parrot.gguf"
    make_parrot(path, ["All ", "parrots ", "say ", "über ", "日本", "語 ", "things."], name="parrot")
    return path


@pytest.fixture(scope="session")
def endless_path(tmp_path_factory):
    """A model whose answers take as long as there is context."""
    from parrot_model import make_parrot

    path = tmp_path_factory.mktemp("models") / "endless.gguf"
    make_parrot(path, ["on ", "and\n"], loop=0, context=250000, name="endless")
    return path


@pytest.fixture(scope="session")
def slow_path():
    """A real model: its weights and a long prompt take a while to read."""
    path = os.environ.get("SMOLLM_TEST_MODEL")
    if not path:
        pytest.skip("SMOLLM_TEST_MODEL names no model")
    return path
