#!/usr/bin/env python3
"""Writes a GGUF file without tensors that holds the tokenizer of a Hugging Face folder.

Reads tokenizer.json and tokenizer_config.json; the standard library is enough. For tests, which want Llama 3's tokenizer
without a model of that size.

usage: make_vocabulary.py FOLDER OUT.gguf [PRE-TOKENIZER]
"""
import json
import pathlib
import struct
import sys

U32, I32, BOOL, STRING, ARRAY = 4, 5, 7, 8, 9
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, data):
    return text(key) + struct.pack("<I", kind) + data


def texts(key, values):
    return entry(key, ARRAY, struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values)))


def write_vocabulary(folder, path, pre="llama-bpe", names=None):
    """names: special tokens by id that are to be called otherwise."""
    folder = pathlib.Path(folder)
    source = json.loads((folder / "tokenizer.json").read_text())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    vocab = source["model"]["vocab"]
    added = {t["id"]: t for t in source["added_tokens"]}
    count = max(max(vocab.values()), max(added)) + 1
    tokens, types = ["[unused %d]" % i for i in range(count)], [5] * count
    for token, i in vocab.items():
        tokens[i], types[i] = token, NORMAL
    for i, token in added.items():
        tokens[i], types[i] = (names or {}).get(i, token["content"]), CONTROL if token["special"] else USER_DEFINED
    merges = [m if isinstance(m, str) else " ".join(m) for m in source["model"]["merges"]]
    ids = {t["content"]: i for i, t in added.items()}
    values = [
        entry("general.architecture", STRING, text("llama")),
        entry("tokenizer.ggml.model", STRING, text("gpt2")),
        entry("tokenizer.ggml.pre", STRING, text(pre)),
        texts("tokenizer.ggml.tokens", tokens),
        entry("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ%di" % count, I32, count, *types)),
        texts("tokenizer.ggml.merges", merges),
    ]
    for key, name in (("bos", "bos_token"), ("eos", "eos_token")):
        token = config.get(name)
        token = token["content"] if isinstance(token, dict) else token
        if token in ids:
            values.append(entry("tokenizer.ggml.%s_token_id" % key, U32, struct.pack("<I", ids[token])))
    if config.get("chat_template"):
        values.append(entry("tokenizer.chat_template", STRING, text(config["chat_template"])))
    header = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(values)) + b"".join(values)
    pathlib.Path(path).write_bytes(header + b"\0" * (-len(header) % 32))


if __name__ == "__main__":
    write_vocabulary(*sys.argv[1:])
