#!/usr/bin/env python3
"""Write a model of SmolLM3-3B's shape (or another one) with random weights: for measuring speed and memory, which do
not depend on what the weights say.

usage: synth_gguf.py OUT --tokenizer TOKENIZER_JSON [--shape 3b|135m|tiny] [--quant q4_k_m|q8_0|q4_0|f16]
                         [--arch smollm3|llama] [--template FILE]

TOKENIZER_JSON is a Hugging Face tokenizer.json of Llama 3 (128,000 tokens), whose vocabulary SmolLM3 has; the 256 special
tokens get SmolLM3's names. Types are spread over the tensors as llama.cpp does for each kind of file.
"""
import argparse
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "models"))
import gguf_file as gguf  # noqa: E402

# hidden, feed-forward, layers, heads, key-value heads
SHAPES = {"3b": (2048, 11008, 36, 16, 4), "135m": (576, 1536, 30, 9, 3), "tiny": (256, 768, 8, 4, 2)}
# ordinary matrices, the more sensitive ones, general.file_type
QUANTS = {"q4_k_m": ("Q4_K", "Q6_K", 15), "q8_0": ("Q8_0", "Q8_0", 7), "q4_0": ("Q4_0", "Q8_0", 2),
          "f16": ("F16", "F16", 1)}
PLAIN = 128000
SPECIAL = {0: "<|begin_of_text|>", 1: "<|end_of_text|>", 2: "<think>", 3: "</think>", 4: "<|finetune_right_pad_id|>",
           6: "<|start_header_id|>", 7: "<|end_header_id|>", 8: "<|eom_id|>", 9: "<|eot_id|>", 10: "<|python_tag|>",
           11: "<|im_start|>", 12: "<|im_end|>", 13: "<tool_response>", 14: "</tool_response>", 15: "<tool_call>",
           16: "</tool_call>", 17: "<code>", 18: "</code>"}


def read_tokenizer(path):
    with open(path, encoding="utf-8") as file:
        model = json.load(file)["model"]
    tokens = [None] * PLAIN
    for token, number in model["vocab"].items():
        if number < PLAIN:
            tokens[number] = token
    if None in tokens:
        raise SystemExit(f"{path}: not a vocabulary of {PLAIN} tokens")
    tokens += [SPECIAL.get(i, f"<|reserved_special_token_{i}|>") for i in range(256)]
    types = [1] * PLAIN + [4 if SPECIAL.get(i, "<|")[:2] != "<|" else 3 for i in range(256)]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return tokens, types, merges


def is_sensitive(layer, layers):
    """Where llama.cpp's mixtures give attn_v and ffn_down more bits: the first and last eighth, every third between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--shape", choices=SHAPES, default="3b")
    parser.add_argument("--quant", choices=QUANTS, default="q4_k_m")
    parser.add_argument("--arch", choices=["smollm3", "llama"], default="smollm3")
    parser.add_argument("--template", metavar="FILE")
    options = parser.parse_args()
    hidden, ffn, layers, heads, kv_heads = SHAPES[options.shape]
    head_dim = hidden // heads
    base, better, file_type = QUANTS[options.quant]
    tokens, types, merges = read_tokenizer(options.tokenizer)
    template = open(options.template, encoding="utf-8").read() if options.template else None
    entries = gguf.model_entries(options.arch, f"synthetic {options.arch} {options.shape}", layers=layers,
                                 hidden=hidden, ffn=ffn, heads=heads, kv_heads=kv_heads, head_dim=head_dim,
                                 vocabulary=len(tokens), context=65536, rope_base=5e6, file_type=file_type)
    entries += gguf.tokenizer_entries("smaug-bpe", tokens, types, merges, bos=PLAIN, eos=PLAIN + 12, pad=PLAIN + 4,
                                      template=template)
    rng = np.random.default_rng(1)
    tensors = []

    def matrix(name, columns, rows, kind):
        kind = gguf.row_type(kind, columns)
        tensors.append((name, (columns, rows), kind,
                        lambda: gguf.random_weights(rng, kind, columns, rows, 1 / np.sqrt(columns))))

    def vector(name):
        tensors.append((name, (hidden,), "F32", np.ones(hidden, "<f4").tobytes()))

    matrix("token_embd.weight", hidden, len(tokens), better)
    vector("output_norm.weight")
    for i in range(layers):
        prefix, more = f"blk.{i}.", better if is_sensitive(i, layers) and options.quant == "q4_k_m" else base
        vector(prefix + "attn_norm.weight")
        matrix(prefix + "attn_q.weight", hidden, hidden, base)
        matrix(prefix + "attn_k.weight", hidden, kv_heads * head_dim, base)
        matrix(prefix + "attn_v.weight", hidden, kv_heads * head_dim, more)
        matrix(prefix + "attn_output.weight", hidden, hidden, base)
        vector(prefix + "ffn_norm.weight")
        matrix(prefix + "ffn_gate.weight", hidden, ffn, base)
        matrix(prefix + "ffn_up.weight", hidden, ffn, base)
        matrix(prefix + "ffn_down.weight", ffn, hidden, more)
    gguf.write(options.out, entries, tensors)
    print(options.out, os.path.getsize(options.out), "bytes")


if __name__ == "__main__":
    main()
