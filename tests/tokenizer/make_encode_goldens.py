#!/usr/bin/env python3
"""Writes encode_goldens.bin with HF tokenizers. Needs the packages tokenizers and gguf.

usage: make_encode_goldens.py SMOLLM2.gguf LLAMA3-TOKENIZER-FOLDER
"""
import pathlib
import sys

from encode_goldens import PATH, SETS, golden_texts, ids_hash, texts_hash


def smollm2_tokenizer(path):
    """SmolLM2's tokenizer.json, put together from the vocabulary and the merges in the model file."""
    import gguf
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False)
                                  for t, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def llama3_tokenizer(folder, pre="llama-bpe"):
    from tokenizers import Tokenizer, pre_tokenizers
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.model.ignore_merges = pre == "llama-bpe"
    if pre == "gpt-2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return tokenizer


def main(smollm2, llama3):
    texts = golden_texts()
    out = [texts_hash(texts)]
    for pre, special in SETS:
        tokenizer = smollm2_tokenizer(smollm2) if pre == "smollm" else llama3_tokenizer(llama3, pre)
        tokenizer.encode_special_tokens = not special
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
            out.append(ids_hash(encoding.ids))
    PATH.write_bytes(b"".join(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
