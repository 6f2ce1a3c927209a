"""The tokenizer against HF tokenizers (goldens), and what must hold of it for any text.

Needs SMOLLM_TEST_MODEL (SmolLM2's GGUF file) and SMOLLM_LLAMA3_TOKENIZER (folder with Llama 3's tokenizer.json).
"""
import json
import os
import pathlib
import random

import pytest

from encode_goldens import COUNT, SETS, golden_texts, ids_hash, load_goldens
from hostile_strings import SPECIAL, Source
from make_vocabulary import write_vocabulary
from records import decode, encode


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    paths = {"smollm": os.environ["SMOLLM_TEST_MODEL"]}
    for pre in ("llama-bpe", "smaug-bpe", "gpt-2"):
        paths[pre] = folder / (pre + ".gguf")
        write_vocabulary(os.environ["SMOLLM_LLAMA3_TOKENIZER"], paths[pre], pre)
    return paths


@pytest.fixture(scope="module")
def texts():
    return golden_texts()


@pytest.mark.parametrize("key", SETS, ids=str)
def test_ids_equal_hf(vocabularies, texts, key):
    pre, special = key
    want = dict(load_goldens(texts))[key]
    got = encode(vocabularies[pre], texts, True if special else None)
    wrong = [text for text, ids, golden in zip(texts, got, want) if ids_hash(ids) != golden]
    assert len(texts) > 12000
    assert not wrong, "%d of %d texts differ, the first: %r" % (len(wrong), len(texts), wrong[0])


def test_text_comes_back(vocabularies, texts):
    back = decode(vocabularies["llama-bpe"], encode(vocabularies["llama-bpe"], texts))
    assert back == [text.encode() for text in texts]


def test_bytes_that_are_not_utf_8_come_back(vocabularies):
    """What goes in is bytes; what comes out is the same bytes, each broken part as U+FFFD."""
    source = random.Random(5)
    samples = [bytes(source.choice([0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xFF, 0xED, 0xA0, 0x41, 0x20])
                     for _ in range(source.randrange(1, 30))) for _ in range(3000)]
    for pre in ("llama-bpe", "gpt-2"):
        back = decode(vocabularies[pre], encode(vocabularies[pre], samples))
        assert back == [s.decode("utf-8", "replace").encode() for s in samples]


def raw_tokens():
    """The bytes of Llama 3's tokens, read here from its file by GPT-2's alphabet."""
    vocab = json.loads((pathlib.Path(os.environ["SMOLLM_LLAMA3_TOKENIZER"]) / "tokenizer.json").read_text())["model"]["vocab"]
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    byte_of = {chr(b): b for b in printable}
    byte_of.update((chr(0x100 + i), b) for i, b in enumerate(b for b in range(256) if b not in printable))
    return {i: bytes(byte_of[c] for c in token) for token, i in vocab.items()}


def test_decoding_ids_that_no_text_gives(vocabularies):
    raw = raw_tokens()
    source = random.Random(6)
    partial = [i for i, data in raw.items() if data.decode("utf-8", "replace").encode() != data]
    assert len(partial) > 500
    samples = [[source.choice(partial) if source.random() < 0.7 else source.randrange(128000)
                for _ in range(source.randrange(1, 20))] for _ in range(3000)]
    want = [b"".join(raw[i] for i in ids).decode("utf-8", "replace").encode() for ids in samples]
    assert decode(vocabularies["llama-bpe"], samples) == want
    assert decode(vocabularies["llama-bpe"], [[-1, 128255, 1 << 30]]) == [b"<|reserved_special_token_250|>"]


def pieces_of(text, spans, specials):
    """What tokenizer_encode promises, said in another way: special tokens are found where they lie inside a span,
    leftmost and longest, and the text between them is ordinary."""
    data = text.encode()
    specials = sorted((s.encode() for s in specials), key=len, reverse=True)
    at, start, out = 0, 0, []
    ends = {offset + i: offset + size for offset, size in spans for i in range(size)}
    while at < len(data):
        found = next((s for s in specials if at in ends and at + len(s) <= ends[at] and data.startswith(s, at)), None)
        if found is None:
            at += 1
            continue
        out += [(data[start:at], False), (found, True)]
        at = start = at + len(found)
    return out + [(data[start:], False)]


def test_special_tokens_only_inside_spans(vocabularies):
    """Spans that cut anywhere: ids are those of the pieces, so a span's edge ends no word and starts none."""
    special = {"smollm": ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>", "<file_sep>", "<filename>"],
               "llama-bpe": ["<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>", "<|start_header_id|>",
                             "<|end_header_id|>", "<|reserved_special_token_1|>", "<|reserved_special_token_10|>"]}
    for pre, names in special.items():
        source = Source(7)
        texts, spans = [], []
        for _ in range(2000):
            text = "".join(source.pick(SPECIAL) if source.below(2) else source.piece() for _ in range(1 + source.below(9)))
            size = len(text.encode())
            cuts = sorted(source.below(size + 1) for _ in range(2 * source.below(4))) if source.below(2) else [0, size]
            texts.append(text)
            spans.append([(a, b - a) for a, b in zip(cuts[::2], cuts[1::2])])
        got = encode(vocabularies[pre], texts, spans)
        pieces = [pieces_of(text, span, names) for text, span in zip(texts, spans)]
        flat = [piece for text in pieces for piece in text]
        ids = iter(encode(vocabularies[pre], [p for p, _ in flat], [[(0, len(p))] if s else [] for p, s in flat]))
        assert sum(s for _, s in flat) > 500
        for text, span, one, parts in zip(texts, spans, got, pieces):
            want = [i for _ in parts for i in next(ids)]
            assert one == want, (text, span)


def test_enough_texts(texts):
    assert len(set(texts[:COUNT])) > 10000
