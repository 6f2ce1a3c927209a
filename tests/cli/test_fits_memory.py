"""A model for which there is no memory is refused before anything of it is read, in every command, and in a container too."""
import os
import pathlib
import re
import subprocess
import time

import pytest

from conftest import assert_one_line_error
from make_model import make_model
from terminal import PATIENCE


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    """The shape of a 70B model in F16, 130 GiB, in a file that takes no room."""
    path = tmp_path_factory.mktemp("huge") / "huge.gguf"
    make_model(path, arch="llama", type="F16", hidden=8192, ffn=28672, layers=80, heads=64, kv_heads=8, vocab=512,
               context=8192, holes=True)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """3 GiB: more than a small container has, and less than the machine."""
    path = tmp_path_factory.mktemp("large") / "large.gguf"
    make_model(path, arch="llama", type="F16", hidden=4096, ffn=11008, layers=8, heads=32, kv_heads=8, vocab=512, context=4096,
               holes=True)
    return path


COMMANDS = [["run", "MODEL", "x"], ["chat", "MODEL"], ["serve", "MODEL", "--port", "0"], ["bench", "MODEL", "-p", "8", "-n", "1"],
            ["perplexity", "MODEL", "TEXT"]]


def command_of(row, model, folder):
    (folder / "text").write_text("some words to read")
    return [str({"MODEL": model, "TEXT": folder / "text"}.get(word, word)) for word in row]


def check_refused(result, seconds):
    assert_one_line_error(result)
    assert result.returncode == 1 and seconds < 2 * PATIENCE
    needed, *_, free = map(float, re.findall(r"([0-9.]+) GiB", result.stderr))
    assert needed > free >= 0 and "weights" in result.stderr, result.stderr


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row[0])
def test_a_model_larger_than_the_machine(smollm, huge, tmp_path, row):
    begin = time.monotonic()
    result = smollm.run(*command_of(row, huge, tmp_path), input="")
    check_refused(result, time.monotonic() - begin)


def test_keys_and_values_count_too(smollm, large, tmp_path):
    """Before the weights are read: a context for which there is no room."""
    begin = time.monotonic()
    result = smollm.run("serve", large, "--port", "0", "-np", "1024", "-c", "4096")
    check_refused(result, time.monotonic() - begin)
    assert "1024 conversations of 4096 tokens" in result.stderr and "--parallel" in result.stderr


# ---- In a container ----

@pytest.fixture(scope="module")
def container():
    """The file to which a process writes 0 in order to enter a cgroup of 2 GB, and that cgroup's count of bytes read."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if controllers == "memory":
            mount, limit, procs = pathlib.Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "cgroup.procs"
        elif number == "0" and pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
            mount, limit, procs = pathlib.Path("/sys/fs/cgroup"), "memory.max", "cgroup.procs"
        else:
            continue
        for parent in (mount / path.lstrip("/"), mount):
            folder = parent / f"smollm-test-{os.getpid()}"
            try:
                folder.mkdir()
                (folder / limit).write_text(str(2 * 10**9))
            except OSError:
                if folder.exists():
                    folder.rmdir()
                continue
            yield folder / procs
            for _ in range(50):
                try:
                    folder.rmdir()
                    return
                except OSError:
                    time.sleep(0.05)
            return
    pytest.skip("no cgroup with a memory limit can be made here")


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row[0])
def test_a_model_larger_than_its_container(smollm, large, tmp_path, container, row):
    """A message within two seconds, and nothing of the weights is read."""
    begin = time.monotonic()
    result = subprocess.run(["sh", "-c", f'echo 0 > "{container}"; exec "$@"', "sh", smollm.path, *command_of(row, large, tmp_path)],
                            capture_output=True, text=True, input="", timeout=60, env=smollm.environment)
    check_refused(result, time.monotonic() - begin)
    usage = container.parent / "memory.max_usage_in_bytes"
    if usage.exists():
        assert int(usage.read_text()) < 100e6  # nobody has read 3 GiB, not even into the page cache
