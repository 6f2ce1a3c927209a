"""What `smollm inspect` says that a model needs is what it takes at most."""
import json
import os
import pathlib
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get("SMOLLM_BUILD_DIR", pathlib.Path(__file__).resolve().parents[2] / "build"))
MODEL = os.environ.get("SMOLLM_TEST_MODEL")


def peak_of(*command):
    """Bytes that the program held at most (VmHWM)."""
    peak = 0
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    peak = max(peak, 1024 * int(line.split()[1]))
            time.sleep(0.01)
    assert process.returncode == 0
    return peak


@pytest.mark.skipif("asan" in str(BUILD), reason="sanitizers take memory of their own")
@pytest.mark.parametrize("cache_type", ["f16", "q8_0"])
def test_peak_is_what_inspect_says(cache_type):
    context = 1024
    answer = subprocess.run([BUILD / "smollm", "inspect", MODEL, "--json", "-c", str(context), "--cache-type", cache_type],
                            capture_output=True, text=True, check=True)
    memory = json.loads(answer.stdout)["memory"]
    assert memory["total"] == memory["weights"] + memory["kv_cache"] + (64 << 20)
    # A prompt and an answer that fill the context.
    peak = peak_of(BUILD / "smollm", "run", MODEL, "tell " * 900, "-n", "100", "-c", str(context), "--temp", "0",
                   "--cache-type", cache_type)
    assert memory["weights"] + 0.9 * memory["kv_cache"] < peak <= memory["total"]
