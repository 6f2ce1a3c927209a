"""The forward pass against PyTorch transformers and llama.cpp (goldens), and against itself however it is run.

Needs SMOLLM_TEST_MODEL (SmolLM2-135M-Instruct's GGUF file) for the texts."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "models"), str(ROOT / "tests" / "model")]
from cases import CASES, TEXTS, case_tokens, distance, load_goldens, make_case  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SMOLLM_BUILD_DIR", ROOT / "build"))
GOLDENS = load_goldens()
SLOW = "build-asan" in str(BUILD)  # sanitizers: fewer and shorter sequences
CASE_NAMES = ["smollm3-q4_k", "smollm3-mixed", "llama-untied", "llama-rope-freqs"] if SLOW else list(CASES)
TEXT_NAMES = ["facts"] if SLOW else TEXTS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Path of a case's model; the real model for texts."""
    folder, made = tmp_path_factory.mktemp("models"), {}

    def make(name):
        if name in TEXTS:
            return os.environ["SMOLLM_TEST_MODEL"]
        if name not in made:
            made[name] = folder / f"{name}.gguf"
            make_case(name, made[name])
        return made[name]

    return make


def ids_of(name):
    return GOLDENS[name]["ids"] if name in TEXTS else case_tokens(name)


def logprobs(tmp_path, path, ids, name, *options):
    file = tmp_path / "ids.json"
    file.write_text(json.dumps(ids))
    more = CASES.get(name, {}).get("options", [])
    answer = subprocess.run([BUILD / "smollm", "perplexity", path, "--ids", file, "--per-token", "--json", *more, *options],
                            capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    *lines, last = map(json.loads, answer.stdout.splitlines())
    assert [line["id"] for line in lines] == ids[1:]
    assert last["tokens"] == len(ids) - 1
    return [line["logprob"] for line in lines]


@pytest.mark.parametrize("name", [*CASE_NAMES, *TEXT_NAMES])
def test_pass_is_as_near_as_llama_cpp(name, model, tmp_path):
    """Mean distance of log-probabilities from transformers in float32: at most 1.05 times llama.cpp's."""
    count = 257 if SLOW else None
    ids = ids_of(name)[:count]
    golden = GOLDENS[name]
    have = logprobs(tmp_path, model(name), ids, name, "--precise", "off")
    ours = distance(have, golden["logprobs"][:len(have)])
    print(f"\n{name}: {len(have)} tokens, {ours:.6f}, llama.cpp {golden['llama_cpp']:.6f}")
    if not SLOW:
        assert ours <= 1.05 * golden["llama_cpp"]


FLOAT_CASES = ["smollm3-f32", "smollm3-f16", "smollm3-bf16", "llama-rope-freqs", "smollm3-yarn"]


@pytest.mark.parametrize("name", [*CASE_NAMES, *TEXT_NAMES])
def test_precise_is_ten_times_nearer(name, model, tmp_path):
    """With --precise on at most a tenth of the distance that --precise off has; no difference where weights are float."""
    ids = ids_of(name)[:129 if SLOW else None]
    golden = GOLDENS[name]["logprobs"]
    off, on = (distance(have, golden[:len(have)])
               for have in (logprobs(tmp_path, model(name), ids, name, "--precise", p) for p in ("off", "on")))
    print(f"\n{name}: off {off:.6f}, on {on:.6f}, ratio {on / off:.4f}")
    assert on == off if name in FLOAT_CASES else on <= 0.1 * off


@pytest.mark.parametrize("name", [*CASE_NAMES, *([] if SLOW else TEXT_NAMES)])
def test_reference_equals_transformers(name, model, tmp_path):
    """Every log-probability within 0.001."""
    ids = ids_of(name)[:13 if name in TEXTS else 33 if SLOW else 97]
    have = logprobs(tmp_path, model(name), ids, name, "--reference")
    worst = max(abs(a - b) for a, b in zip(have, GOLDENS[name]["logprobs"]))
    print(f"\n{name}: {worst:.6f}")
    assert worst <= 0.001


@pytest.mark.parametrize("name", [*(n for n in CASE_NAMES if n != "smollm3-yarn"), *([] if SLOW else ["facts"])])
def test_hidden_states_are_those_of_the_reference(name, model):
    """The reference's logits are its hidden states times the output matrix, to the bit, so its distance from transformers
    speaks for both; the pass in precise mode differs from it by its f16 keys and values and little else."""
    answer = subprocess.run([BUILD / "tests" / "model" / "hidden_states", model(name), "9" if name in TEXTS else "40"],
                            capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    print(f"\n{name}: {answer.stdout.strip()}")
    assert float(answer.stdout) <= 0.01


SAME_BITS_NAMES = [*(n for n in CASE_NAMES if n != "smollm3-yarn"), *([] if SLOW else ["facts"])]


@pytest.mark.parametrize("name, cache_type", [*((name, "f16") for name in SAME_BITS_NAMES),
                                              (SAME_BITS_NAMES[0] if SLOW else "llama-wide-heads", "q8_0")])
def test_same_bits_however_run(name, cache_type, model):
    # Precise for half of them.
    precise = "on" if SAME_BITS_NAMES.index(name) % 2 else "off"
    # One case is long enough that attention's ranges of 512 positions are shared by threads.
    tokens = 24 if name in TEXTS else 40 if SLOW else 540 if name == "llama-wide-heads" else 96
    answer = subprocess.run([BUILD / "tests" / "model" / "same_bits", model(name), str(tokens), cache_type, precise],
                            capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.count(" 0 of ") == 22
