"""The models and token sequences that the forward pass is tested on; goldens.json.gz has what transformers and llama.cpp
make of them."""
import base64
import gzip
import json
import pathlib
import random
import struct

HERE = pathlib.Path(__file__).parent
GOLDENS = HERE / "goldens.json.gz"
TEXTS = ["prose", "facts", "code"]
TOKENS = 2048

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
         "IQ4_XS"]

# make_model's arguments; `options` are given to `smollm perplexity` too.
CASES = {
    **{f"smollm3-{t.lower()}": dict(arch="smollm3", type=t, sharp=True, context=2304, seed=i + 1)
       for i, t in enumerate(TYPES)},
    "smollm3-mixed": dict(arch="smollm3", type="Q4_K,Q6_K,Q8_0,F16,Q4_K", embedding_type="Q6_K", sharp=True,
                          context=2304, layers=9, heads=8, kv_heads=2, seed=40),
    "llama-untied": dict(arch="llama", type="Q8_0", hidden=192, ffn=352, heads=6, kv_heads=3, layers=6, untied=True,
                         sharp=True, context=2304, seed=41),
    "llama-rope-freqs": dict(arch="llama", type="F16", hidden=160, ffn=224, heads=5, kv_heads=1, layers=5,
                             rope_freqs=True, sharp=True, context=2304, seed=42),
    "llama-wide-heads": dict(arch="llama", type="Q5_1", hidden=96, ffn=160, heads=3, kv_heads=3, head_dim=80, layers=5,
                             sharp=True, context=2304, seed=43),
    "smollm3-yarn": dict(arch="smollm3", type="F32", sharp=True, context=1024, seed=44,
                         options=["--rope-scaling", "yarn", "--rope-scale", "2"]),
}


def make_case(name, path):
    """Writes the model of a case."""
    from make_model import make_model

    make_model(path, **{k: v for k, v in CASES[name].items() if k != "options"})


def case_tokens(name):
    """Seeded ids: runs of a small set, so that there is something to attend to."""
    rng = random.Random(name)
    ids, few = [], list(range(40, 60))
    while len(ids) < min(TOKENS, CASES[name]["context"] * 2 - 1):
        ids.append(rng.choice(few) if rng.random() < 0.7 else rng.randrange(300))
    return ids


def pack(values):
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def unpack(text):
    data = base64.b64decode(text)
    return struct.unpack(f"<{len(data) // 4}f", data)


def load_goldens():
    """name -> {"logprobs": [...], "llama_cpp": mean distance, and for texts "ids": [...]}"""
    goldens = json.loads(gzip.decompress(GOLDENS.read_bytes()))
    for golden in goldens.values():
        golden["logprobs"] = unpack(golden["logprobs"])
    return goldens


def distance(a, b):
    """Mean absolute difference of log-probabilities."""
    assert len(a) == len(b)
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a)
