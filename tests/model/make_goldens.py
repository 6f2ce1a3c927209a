#!/usr/bin/env python3
"""Make goldens.json.gz: log-probabilities by PyTorch transformers in float32 on the dequantized weights, and the distance
of llama.cpp from them on the same file.

usage: make_goldens.py LLAMA_CPP SMOLLM2_GGUF
    LLAMA_CPP     folder of a built llama.cpp (bench/llamacpp_build.sh makes one)
    SMOLLM2_GGUF  SmolLM2-135M-Instruct.Q4_1.gguf
Needs torch, transformers, gguf, numpy, g++, and build/smollm for the ids of the texts. The oracles read the files with
code of their own: gguf-py for the weights, llama.cpp for everything.
"""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from transformers import LlamaConfig, LlamaForCausalLM, SmolLM3Config, SmolLM3ForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "models")]
from cases import CASES, GOLDENS, TEXTS, case_tokens, distance, make_case, pack  # noqa: E402


def half_pairs(weight, heads):
    """Rows of Q or K from GGUF's adjacent pairs back to the halves that transformers rotates."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def transformers_model(path, yarn=None):
    reader = GGUFReader(path)
    field = lambda key: reader.fields[key].contents()
    arch = field("general.architecture")
    get = lambda key: field(f"{arch}.{key}")
    tensors = {t.name: dequantize(t.data, t.tensor_type).astype(np.float32).reshape(
        [int(d) for d in reversed(t.shape)]) for t in reader.tensors}
    heads, kv_heads, layers = get("attention.head_count"), get("attention.head_count_kv"), get("block_count")
    head_dim = tensors["blk.0.attn_q.weight"].shape[0] // heads
    rope = {"rope_type": "default", "rope_theta": float(get("rope.freq_base"))}
    if yarn:
        rope.update(rope_type="yarn", factor=yarn[0], original_max_position_embeddings=yarn[1], beta_fast=32,
                    beta_slow=1)
    common = dict(hidden_size=get("embedding_length"), intermediate_size=get("feed_forward_length"),
                  num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=head_dim,
                  vocab_size=tensors["token_embd.weight"].shape[0], rms_norm_eps=get("attention.layer_norm_rms_epsilon"),
                  max_position_embeddings=get("context_length"), rope_parameters=rope,
                  tie_word_embeddings="output.weight" not in tensors, attn_implementation="eager", pad_token_id=None,
                  bos_token_id=None, eos_token_id=None)
    if arch == "smollm3":
        model = SmolLM3ForCausalLM(SmolLM3Config(
            **common, no_rope_layers=[int((i + 1) % 4 != 0) for i in range(layers)], use_sliding_window=False))
    else:
        model = LlamaForCausalLM(LlamaConfig(**common))
    names = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    state = {"model.embed_tokens.weight": tensors["token_embd.weight"], "model.norm.weight": tensors["output_norm.weight"],
             "lm_head.weight": tensors.get("output.weight", tensors["token_embd.weight"])}
    for i in range(layers):
        for short, long in names.items():
            weight = tensors[f"blk.{i}.{short}.weight"]
            if short == "attn_q":
                weight = half_pairs(weight, heads)
            if short == "attn_k":
                weight = half_pairs(weight, kv_heads)
            state[f"model.layers.{i}.{long}.weight"] = weight
    model.load_state_dict({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in state.items()})
    if "rope_freqs.weight" in tensors:
        rotary = model.model.rotary_emb
        rotary.inv_freq = rotary.inv_freq / torch.from_numpy(tensors["rope_freqs.weight"])
    return model.float().eval()


def transformers_logprobs(path, ids, yarn=None):
    model = transformers_model(path, yarn)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1]
        return torch.log_softmax(logits.double(), -1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].tolist()


def build_oracle(llama_cpp, folder):
    program = folder / "llama_logprobs"
    libraries = next(pathlib.Path(llama_cpp).rglob("libllama.so")).parent
    subprocess.run(["g++", "-O2", "-std=c++17", HERE / "llama_logprobs.cpp", "-o", program, f"-I{llama_cpp}/include",
                    f"-I{llama_cpp}/ggml/include", f"-L{libraries}", "-lllama", "-lggml", "-lggml-base",
                    f"-Wl,-rpath,{libraries}"], check=True)
    return program


def llama_logprobs(program, path, ids, yarn=None):
    arguments = [str(x) for x in yarn] if yarn else []
    answer = subprocess.run([program, path, *arguments], input=" ".join(map(str, ids)), capture_output=True, text=True,
                            check=True)
    return [float(x) for x in answer.stdout.split()]


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    llama_cpp, smollm2 = sys.argv[1:]
    torch.manual_seed(0)
    goldens = {}

    def add(name, path, ids, yarn=None, keep_ids=False):
        want = transformers_logprobs(path, ids, yarn)
        theirs = distance(want, llama_logprobs(oracle, path, ids, yarn))
        goldens[name] = {"logprobs": pack(want), "llama_cpp": theirs}
        if keep_ids:
            goldens[name]["ids"] = ids
        print(f"{name:20} {len(want):5} tokens, mean {np.mean(want):8.4f}, llama.cpp differs by {theirs:.6f}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        oracle = build_oracle(llama_cpp, folder)
        for name, case in CASES.items():
            make_case(name, folder / "model.gguf")
            yarn = (2.0, case["context"]) if "options" in case else None
            add(name, folder / "model.gguf", case_tokens(name), yarn)
        for name in TEXTS:
            text = (HERE / "texts" / f"{name}.txt").read_bytes()
            ids = subprocess.run([HERE.parents[1] / "build" / "smollm", "tokenize", smollm2], input=text,
                                 capture_output=True, check=True).stdout
            ids = [int(x) for x in ids.split()]
            add(name, smollm2, ids, keep_ids=True)
    GOLDENS.write_bytes(gzip.compress(json.dumps(goldens).encode(), mtime=0))


main()
