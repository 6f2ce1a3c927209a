"""Log-probabilities of a prompt through the library beside `smollm perplexity --per-token`.

Needs SMOLLM_TEST_MODEL (SmolLM2-135M-Instruct's GGUF file)."""
import json
import os
import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "model")]
from cases import load_goldens  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SMOLLM_BUILD_DIR", ROOT / "build"))


def as_float(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def test_prompts_have_the_log_probabilities_of_perplexity(tmp_path):
    """perplexity prints nine digits of a double, the library gives it as a float: where the digits lie between two floats
    the two may round apart, by one place."""
    model, ids = os.environ["SMOLLM_TEST_MODEL"], load_goldens()["facts"]["ids"][:120]
    file = tmp_path / "ids.json"
    file.write_text(json.dumps(ids))
    answer = subprocess.run([BUILD / "smollm", "perplexity", model, "--ids", file, "--per-token", "--json"],
                            capture_output=True, text=True, timeout=300, check=True)
    want = [json.loads(line) for line in answer.stdout.splitlines()[:-1]]
    seen = set()
    for batch in (256, 7):
        have = subprocess.run([BUILD / "tests" / "library" / "prompt_logprobs", model, str(batch)],
                              input=" ".join(map(str, ids)), capture_output=True, text=True, timeout=300, check=True)
        seen.add(have.stdout)
    assert len(seen) == 1
    have = [line.split() for line in seen.pop().splitlines()]
    assert [int(id) for id, _ in have] == [line["id"] for line in want] == ids[1:]
    differing = 0
    for (_, ours), line in zip(have, want):
        theirs = as_float(line["logprob"])
        differing += as_float(float(ours)) != theirs
        assert abs(float(ours) - line["logprob"]) <= abs(theirs) * 2 ** -23
    print(f"\n{differing} of {len(want)} round apart")
    assert differing <= len(want) // 10
