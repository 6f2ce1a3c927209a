"""smollm bench: what it prints, and that a profile accounts for all of the time and all of the model."""
import json

import pytest

LAYERS, THREADS = 2, 2


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from make_model import make_model

    path = tmp_path_factory.mktemp("bench") / "small.gguf"
    make_model(path, arch="llama", type="Q4_K", hidden=256, ffn=512, layers=LAYERS, heads=4, kv_heads=2, vocab=352)
    return path


def bench(smollm, model, *options):
    result = smollm.run("bench", model, "-t", THREADS, "-r", 2, *options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_result_for_each_combination(smollm, model):
    found = json.loads(bench(smollm, model, "-p", "0,16", "-n", 4, "-b", "1,3", "-d", "0,40", "--json"))
    assert [(x["test"], x["tokens"], x["batch"], x["depth"]) for x in found] == [
        (test, tokens, batch, depth) for depth in (0, 40)
        for test, tokens, batch in (("prefill", 16, 1), ("decode", 4, 1), ("decode", 4, 3))]
    for x in found:
        speed = x["tokens_per_second"]
        assert 0 < speed["min"] <= speed["median"] <= speed["max"] and x["threads"] == THREADS and "profile" not in x


def test_profile(smollm, model):
    prefill, decode, batch = json.loads(bench(smollm, model, "-p", 64, "-n", 4, "-b", "1,4", "-d", 32, "--precise", "off", "--profile", "--json"))
    for x in (prefill, decode, batch):
        assert x["limits"]["bytes_per_second"] > 0
        operations = {entry["operation"]: entry for entry in x["profile"]}
        assert {"embed", "projections", "output", "gate_up", "down", "head"} <= set(operations)
        # A token's attention to few positions follows its projections in one phase.
        assert ("attention" in operations) == (x is not decode)
        assert sum(entry["share"] for entry in x["profile"]) == pytest.approx(1, abs=0.001)
        assert all(entry["seconds"] > 0 or entry["operation"] == "wait" for entry in x["profile"])
        assert all(entry["limit_share"] >= 0 for entry in x["profile"])
        # Two runs, which working and waiting fill.
        tokens = x["tokens"] * x["batch"]
        seconds = sum(entry["seconds"] for entry in x["profile"]) / 2
        assert tokens / x["tokens_per_second"]["max"] * 0.25 < seconds < tokens / x["tokens_per_second"]["min"]
        passes = 2 * (1 if x is prefill else 4)
        assert operations["gate_up"]["calls"] == passes * LAYERS and operations["head"]["calls"] == passes
        # 144 bytes for each 256 weights of Q4_K; one multiply-accumulate for each weight and token.
        per_pass = tokens // (passes // 2)
        weights = 2 * 256 * 512
        assert operations["gate_up"]["bytes"] == passes * LAYERS * weights * 144 / 256
        # Of a prompt only the last token goes through the last layer.
        rows = (LAYERS - 1) * per_pass + (1 if x is prefill else per_pass)
        assert operations["gate_up"]["macs"] == passes * weights * rows
    # f16 keys and values of 2 heads of 64, of 96 positions; queries of 256.
    attention = next(entry for entry in prefill["profile"] if entry["operation"] == "attention")
    assert attention["bytes"] == 2 * LAYERS * 96 * 2 * 128 * 2
    assert attention["macs"] == 2 * 2 * 256 * ((LAYERS - 1) * sum(range(33, 97)) + 96)


def test_profile_as_a_table(smollm, model):
    text = bench(smollm, model, "-p", 16, "-n", 4, "--profile")
    assert text.count("operation") == 2 and text.count("limits of 2 threads: ") == 2
    assert "gate_up" in text and "of limit" in text


def test_help_names_profile(smollm):
    assert "--profile" in smollm.run("bench", "--help").stdout
