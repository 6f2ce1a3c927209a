#!/usr/bin/env python3
"""Write a small random model with a working byte-level tokenizer: for tests that need a model of a certain kind.

usage: make_model.py OUT [--arch smollm3|llama] [--type Q4_K] [--hidden 256] ... (see --help)

The same options and seed give the same bytes. Weights have deviation 1/sqrt(columns), so activations keep their size
through the layers and every layer matters for the result. The vocabulary is the 256 bytes (in the printable alphabet
that GPT-2 gave them), some merges, then special tokens.
"""
import argparse

import numpy as np

import gguf_file as gguf

# What merges build, each after its parts: common pieces of English.
PIECES = ["th", "the", "Ġthe", "in", "ing", "er", "an", "and", "Ġand", "on", "re", "he", "Ġt", "Ġa", "Ġs", "st", "en",
          "ed", "is", "Ġis", "it", "or", "es", "at", "ou", "you", "Ġyou", "ĠĠ", "ĠĠĠĠ", "al", "ar", "ll", "ell", "Hell",
          "Hello", "wor", "world", "Ġworld", "le", "ion", "ment", "qu", "Ġqu", "ck", "ow", "own", "ox", "um", "ver"]

SPECIAL_SMOLLM3 = ["<|begin_of_text|>", "<|end_of_text|>", "<think>", "</think>", "<|finetune_right_pad_id|>",
                   "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>",
                   "<|im_start|>", "<|im_end|>", "<tool_response>", "</tool_response>", "<tool_call>", "</tool_call>",
                   "<code>", "</code>"]
SPECIAL_LLAMA = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"]
CONTROL, NORMAL, USER_DEFINED = 3, 1, 4


def byte_alphabet():
    """GPT-2's printable character for each byte: itself where it is printable, else the next from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet, extra = [], 0
    for byte in range(256):
        if byte in printable:
            alphabet.append(chr(byte))
        else:
            alphabet.append(chr(0x100 + extra))
            extra += 1
    return alphabet


def tokenizer(arch, vocabulary):
    """tokens, types, merges of `vocabulary` tokens."""
    tokens = byte_alphabet()
    merges, known = [], set(tokens)
    for piece in PIECES:
        for cut in range(len(piece) - 1, 0, -1):
            if piece[:cut] in known and piece[cut:] in known:
                merges.append(f"{piece[:cut]} {piece[cut:]}")
                known.add(piece)
                tokens.append(piece)
                break
    types = [NORMAL] * len(tokens)
    for special in SPECIAL_SMOLLM3 if arch == "smollm3" else SPECIAL_LLAMA:
        tokens.append(special)
        types.append(CONTROL if special.startswith("<|") or arch != "smollm3" else USER_DEFINED)
    if vocabulary < len(tokens):
        raise SystemExit(f"make_model.py: --vocab is {vocabulary}, at least {len(tokens)} are needed")
    for i in range(vocabulary - len(tokens)):
        tokens.append(f"<|reserved_special_token_{i}|>")
        types.append(CONTROL)
    return tokens, types, merges


def make_model(path, *, arch="smollm3", type="F32", embedding_type=None, hidden=256, ffn=512, layers=5, heads=4,
               kv_heads=2, head_dim=None, vocab=512, context=512, rope_base=None, untied=False, sharp=False,
               rope_freqs=False, pre=None, template=None, seed=1, version=3, holes=False):
    """Writes the model to path. `type` may be several names joined by ',': the matrices take them in turn. With `holes`
    the matrices are zeros that take no room on the disk: for models that are only to be large."""
    head_dim = head_dim or hidden // heads
    rope_base = rope_base or (5e6 if arch == "smollm3" else 1e5)
    types = type.split(",")
    rng = np.random.default_rng(seed)
    tokens, token_types, merges = tokenizer(arch, vocab)
    entries = gguf.model_entries(arch, f"test {arch} {type}", layers=layers, hidden=hidden, ffn=ffn, heads=heads,
                                 kv_heads=kv_heads, head_dim=head_dim, vocabulary=vocab, context=context,
                                 rope_base=rope_base, key_length=head_dim * heads != hidden)
    begin, end, pad = (("<|begin_of_text|>", "<|im_end|>", "<|finetune_right_pad_id|>") if arch == "smollm3"
                       else ("<|im_start|>", "<|im_end|>", "<|endoftext|>"))
    entries += gguf.tokenizer_entries(pre or ("smaug-bpe" if arch == "smollm3" else "smollm"), tokens, token_types,
                                      merges, bos=tokens.index(begin), eos=tokens.index(end), pad=tokens.index(pad),
                                      template=template)
    tensors, made = [], 0

    def matrix(name, columns, rows, kind=None, deviation=None):
        nonlocal made
        kind = gguf.row_type(kind or types[made % len(types)], columns)
        made += 1
        deviation = deviation or 1 / np.sqrt(columns)
        tensors.append((name, (columns, rows), kind,
                        None if holes else gguf.random_weights(rng, kind, columns, rows, deviation)))

    def vector(name, size, low=0.6, high=1.4):
        tensors.append((name, (size,), "F32", rng.uniform(low, high, size).astype("<f4").tobytes()))

    # The output matrix decides how far logits spread: with `sharp` their deviation is about 4, otherwise 1.
    spread = (4 if sharp else 1) / np.sqrt(hidden)
    matrix("token_embd.weight", hidden, vocab, embedding_type, spread)
    vector("output_norm.weight", hidden)
    if untied:
        matrix("output.weight", hidden, vocab, embedding_type, spread)
    if rope_freqs:
        vector("rope_freqs.weight", head_dim // 2, 1, 8)
    for i in range(layers):
        vector(f"blk.{i}.attn_norm.weight", hidden)
        matrix(f"blk.{i}.attn_q.weight", hidden, heads * head_dim)
        matrix(f"blk.{i}.attn_k.weight", hidden, kv_heads * head_dim)
        matrix(f"blk.{i}.attn_v.weight", hidden, kv_heads * head_dim)
        matrix(f"blk.{i}.attn_output.weight", heads * head_dim, hidden)
        vector(f"blk.{i}.ffn_norm.weight", hidden)
        matrix(f"blk.{i}.ffn_gate.weight", hidden, ffn)
        matrix(f"blk.{i}.ffn_up.weight", hidden, ffn)
        matrix(f"blk.{i}.ffn_down.weight", ffn, hidden)
    gguf.write(path, entries, tensors, version=version)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--arch", choices=["smollm3", "llama"], default="smollm3")
    parser.add_argument("--type", default="F32", help=f"of the matrices, one or several joined by ',': "
                                                      f"{', '.join(gguf.TYPES)}")
    parser.add_argument("--embedding-type", help="of the embedding and output (default: as --type)")
    for name, default in (("hidden", 256), ("ffn", 512), ("layers", 5), ("heads", 4), ("kv-heads", 2), ("vocab", 512),
                          ("context", 512), ("seed", 1), ("version", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--head-dim", type=int, help="default: hidden / heads")
    parser.add_argument("--rope-base", type=float)
    parser.add_argument("--untied", action="store_true", help="an output matrix of its own")
    parser.add_argument("--sharp", action="store_true", help="logits that spread widely")
    parser.add_argument("--rope-freqs", action="store_true", help="frequency factors, as Llama 3 files have them")
    parser.add_argument("--holes", action="store_true", help="zeros instead of weights, which take no room on the disk")
    parser.add_argument("--pre", help="name of the pre-tokenizer")
    parser.add_argument("--template", metavar="FILE", help="a chat template to put in")
    options = vars(parser.parse_args())
    if options["template"]:
        with open(options["template"], encoding="utf-8") as file:
            options["template"] = file.read()
    make_model(options.pop("out"), **options)


if __name__ == "__main__":
    main()
