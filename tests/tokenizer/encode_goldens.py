"""What the goldens of the tokenizer are: encode_goldens.bin holds, for each set, 4 bytes of hash for each text.

The texts themselves are made again from their seed (hostile_strings.py); a hash over all of them stands at the start of
the file, so that texts that came out differently are not taken for wrong ids.
"""
import hashlib
import pathlib
import struct

from hostile_strings import code_point_strings, hostile_strings

COUNT = 12000
# pre-tokenizer, whether special tokens are recognized. smollm is SmolLM2's model file; the others are Llama 3's
# vocabulary under each of its possible pre-tokenizers.
SETS = [("smollm", False), ("smollm", True), ("llama-bpe", False), ("llama-bpe", True), ("smaug-bpe", False),
        ("gpt-2", False)]
PATH = pathlib.Path(__file__).with_name("encode_goldens.bin")


def golden_texts():
    return hostile_strings(COUNT) + [text for _, text in code_point_strings()]


def texts_hash(texts):
    return hashlib.sha256("\0".join(texts).encode()).digest()


def ids_hash(ids):
    return hashlib.sha256(struct.pack("<%di" % len(ids), *ids)).digest()[:4]


def load_goldens(texts):
    data = PATH.read_bytes()
    assert data[:32] == texts_hash(texts), "the texts are not those that the goldens were made of"
    assert len(data) == 32 + 4 * len(texts) * len(SETS)
    for k, key in enumerate(SETS):
        start = 32 + 4 * len(texts) * k
        yield key, [data[start + 4 * i:start + 4 * i + 4] for i in range(len(texts))]
