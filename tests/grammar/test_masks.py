"""Masks are exact: at each step of texts of finite schemas the mask is compared with the tokens that a slow recognizer
of all valid texts (recognizer.py) can go on with. Which values are valid PyPI jsonschema has said (make_goldens.py)."""
import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tokenizer"))
from make_vocabulary import write_vocabulary  # noqa: E402
from recognizer import Recognizer, allowed, hash_of, make_tree  # noqa: E402

GOLDENS = json.loads((pathlib.Path(__file__).parent / "goldens.json").read_text())


def run(command, model, lines, *options):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([os.environ["SMOLLM"], command, model, "--jsonl", *options], input=text.encode(),
                          stdout=subprocess.PIPE, check=True, timeout=300)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


class Vocabulary:
    def __init__(self, path):
        self.path = path
        listed = json.loads(subprocess.run([os.environ["SMOLLM_BUILD_DIR"] + "/tests/grammar/list_tokens", path],
                                           stdout=subprocess.PIPE, check=True).stdout)
        self.tree = make_tree({i: bytes.fromhex(t) for i, t in enumerate(listed["tokens"]) if t})
        self.ends = listed["ends"]


@pytest.fixture(scope="module", params=["smollm2", "llama3"])
def vocabulary(request, tmp_path_factory):
    if request.param == "smollm2":
        return Vocabulary(os.environ["SMOLLM_TEST_MODEL"])
    path = tmp_path_factory.mktemp("vocabulary") / "llama3.gguf"
    write_vocabulary(os.environ["SMOLLM_LLAMA3_TOKENIZER"], path)
    return Vocabulary(path)


def texts_of(value, chance):
    """Some of its texts: compact, as json.dumps writes it, and with escapes."""
    yield json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    yield json.dumps(value, ensure_ascii=chance.random() < 0.5)


@pytest.mark.parametrize("number", range(len(GOLDENS)))
def test_masks_are_exact(vocabulary, number):
    golden, chance = GOLDENS[number], random.Random(number)
    recognizer = Recognizer(golden["valid"])
    texts = [t for value in chance.sample(golden["valid"], min(3, len(golden["valid"]))) for t in texts_of(value, chance)]
    [answer] = run("constrain", vocabulary.path, [{"schema": golden["schema"], "instances": texts}], "--trace")
    assert answer["ok"], answer
    assert all(answer["accepted"])
    for text, ids, trace in zip(texts, run("tokenize", vocabulary.path, texts), answer["trace"]):
        state = recognizer.start
        pieces = [bytes.fromhex(p) for p in split(vocabulary, ids)]
        for i, (count, mask_hash) in enumerate(trace):
            want = allowed(recognizer, state, vocabulary.tree)
            if recognizer.accepts(state):
                want = sorted({*want, *vocabulary.ends})
            assert (count, mask_hash) == (len(want), hash_of(want)), (text, b"".join(pieces[:i]))
            for byte in pieces[i] if i < len(pieces) else b"":
                state = recognizer.step(state, byte)


def split(vocabulary, ids):
    if not hasattr(vocabulary, "texts"):
        listed = json.loads(subprocess.run([os.environ["SMOLLM_BUILD_DIR"] + "/tests/grammar/list_tokens", vocabulary.path],
                                           stdout=subprocess.PIPE, check=True).stdout)
        vocabulary.texts = listed["tokens"]
    return [vocabulary.texts[i] for i in ids]


def test_values_of_other_schemas():
    """What any of the schemas allows, against each of them: jsonschema has said which are valid."""
    values = sorted({json.dumps(v, ensure_ascii=False) for golden in GOLDENS for v in golden["valid"]})
    for golden in GOLDENS:
        valid = {json.dumps(v, ensure_ascii=False) for v in golden["valid"]}
        [answer] = run("constrain", os.environ["SMOLLM_TEST_MODEL"], [{"schema": golden["schema"], "instances": values}])
        assert answer["accepted"] == [v in valid for v in values], golden["schema"]
