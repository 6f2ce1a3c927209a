#!/usr/bin/env python3
"""Masks and compiling of `smollm constrain` beside PyPI `llguidance`, on the same schemas in the same run.

usage: constrain_bench.py MODEL TOKENIZER_JSON FOLDER [COUNT]    (in an environment with llguidance)

FOLDER holds MaskBench's files: {"schema", "tests": [{"data", "valid"}]}. MODEL is a GGUF file with the vocabulary of
TOKENIZER_JSON. Each schema is compiled and its instances are read by both, in turns; times are in microseconds. The
times of llguidance include its Python binding, those of smollm its own clock.
"""
import json
import pathlib
import random
import subprocess
import sys
import time

import llguidance
import llguidance.numpy


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def main():
    model, tokenizer_path, folder = sys.argv[1:4]
    files = sorted(pathlib.Path(folder).glob("*.json"))
    random.Random(1).shuffle(files)
    files = files[:int(sys.argv[4]) if len(sys.argv) > 4 else 250]
    tokenizer = llguidance.LLTokenizer(pathlib.Path(tokenizer_path).read_text())
    ours = subprocess.Popen(["build/smollm", "constrain", model, "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    masks, compiles = {"llguidance": [], "smollm": []}, {"llguidance": [], "smollm": []}
    means, both = [], 0
    bitmask = llguidance.numpy.allocate_token_bitmask(1, tokenizer.vocab_size)
    for path in files:
        case = json.loads(path.read_text())
        texts = [json.dumps(test["data"], ensure_ascii=False) for test in case["tests"] if test["valid"]]
        ours.stdin.write(json.dumps({"schema": case["schema"], "instances": texts, "times": True}) + "\n")
        ours.stdin.flush()
        answer = json.loads(ours.stdout.readline())
        begin = time.perf_counter_ns()
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(case["schema"]))
            matcher = llguidance.LLMatcher(tokenizer, grammar)
            if matcher.is_error():
                raise ValueError(matcher.get_error())
            llguidance.numpy.fill_next_token_bitmask(matcher, bitmask)
        except Exception:
            continue
        compile_us = (time.perf_counter_ns() - begin) / 1000
        if not answer["ok"]:
            continue
        both += 1
        compiles["llguidance"].append(compile_us)
        first = next(iter(answer["times_us"]), 0)
        compiles["smollm"].append(answer["compile_us"] + first)
        masks["smollm"] += answer.get("times_us", [])
        for text in texts:
            its = llguidance.LLMatcher(tokenizer, grammar)
            for token in [*tokenizer.tokenize_str(text), None]:
                begin = time.perf_counter_ns()
                llguidance.numpy.fill_next_token_bitmask(its, bitmask)
                masks["llguidance"].append((time.perf_counter_ns() - begin) / 1000)
                if token is None or not its.consume_token(token):
                    break
    ours.stdin.close()
    print(f"{both} schemas that both compile, {len(masks['smollm'])} and {len(masks['llguidance'])} masks")
    print(f"{'':12} {'mask mean':>10} {'p50':>8} {'p99':>8} {'max':>9} {'compile p50':>12} {'p99':>9}")
    for name in ("llguidance", "smollm"):
        m, c = masks[name], compiles[name]
        print(f"{name:12} {sum(m) / max(1, len(m)):10.1f} {percentile(m, 0.5):8.1f} {percentile(m, 0.99):8.1f} {max(m, default=0):9.1f} "
              f"{percentile(c, 0.5):12.1f} {percentile(c, 0.99):9.1f}")


if __name__ == "__main__":
    main()
