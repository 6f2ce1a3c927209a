"""Write a model that says what it is told to, whatever it is asked: for tests of what stands on a model's answers.

Each token of the vocabulary has one successor. The embedding of a token is a unit vector of its own, the layer adds
nothing to it, and the output matrix has the successor's row where that vector points, so the next token follows from
the last one with a probability of almost 1. The answer is a list of pieces, each a token of its own (text, or bytes that
are no whole character); it begins after a line feed, with which every prompt of the smollm3 format ends, and after any
byte that is no piece. After the last piece comes the end of the turn, or for ever the first one of the `loop`.
"""
import gguf_file as gguf
import numpy as np
from make_model import CONTROL, NORMAL, SPECIAL_SMOLLM3, USER_DEFINED, byte_alphabet

WEIGHT = 2.0  # the successor's logit is this times sqrt(hidden)


def make_parrot(path, pieces, *, loop=None, context=4096, name="parrot"):
    """pieces: str or bytes; a special token's name stands for that token. loop: index of the piece after the last."""
    alphabet = byte_alphabet()
    tokens = list(alphabet)
    types = [NORMAL] * len(tokens)
    for special in SPECIAL_SMOLLM3:
        tokens.append(special)
        types.append(CONTROL if special.startswith("<|") else USER_DEFINED)
    answer = []
    for piece in pieces:
        if piece in SPECIAL_SMOLLM3:
            answer.append(tokens.index(piece))
            continue
        data = piece if isinstance(piece, bytes) else piece.encode()
        text = "".join(alphabet[byte] for byte in data)
        if text not in tokens:
            tokens.append(text)
            types.append(NORMAL)
        answer.append(tokens.index(text))
    if len(set(answer)) < len(answer) or tokens.index(alphabet[10]) in answer:
        raise SystemExit("each piece may occur once, and a line feed alone is what the answer begins after")
    while len(tokens) % 32:
        tokens.append(f"<|reserved_special_token_{len(tokens)}|>")
        types.append(CONTROL)
    size = len(tokens)
    end = tokens.index("<|im_end|>")
    successor = [end] * size
    successor[:256] = [answer[0]] * 256
    for token, following in zip(answer, answer[1:] + [answer[loop] if loop is not None else end]):
        successor[token] = following
    output = np.zeros((size, size), dtype="<f4")
    for token, following in enumerate(successor):
        output[following, token] = WEIGHT
    heads = 2
    entries = gguf.model_entries("smollm3", name, layers=1, hidden=size, ffn=32, heads=heads, kv_heads=1,
                                 head_dim=size // heads, vocabulary=size, context=context, rope_base=1e5)
    entries += gguf.tokenizer_entries("smaug-bpe", tokens, types, [], bos=tokens.index("<|begin_of_text|>"), eos=end,
                                      pad=tokens.index("<|finetune_right_pad_id|>"))

    def zeros(columns, rows):
        return np.zeros((rows, columns), dtype="<f4").tobytes()

    def ones(count):
        return np.ones(count, dtype="<f4").tobytes()

    tensors = [("token_embd.weight", (size, size), "F32", np.eye(size, dtype="<f4").tobytes()),
               ("output_norm.weight", (size,), "F32", ones(size)),
               ("output.weight", (size, size), "F32", output.tobytes())]
    tensors.append(("blk.0.attn_norm.weight", (size,), "F32", ones(size)))
    tensors.append(("blk.0.ffn_norm.weight", (size,), "F32", ones(size)))
    for matrix, columns, rows in (("attn_q", size, size), ("attn_k", size, size // heads), ("attn_v", size, size // heads),
                                  ("attn_output", size, size), ("ffn_gate", size, 32), ("ffn_up", size, 32),
                                  ("ffn_down", 32, size)):
        tensors.append((f"blk.0.{matrix}.weight", (columns, rows), "F32", zeros(columns, rows)))
    gguf.write(path, entries, tensors)
