#!/usr/bin/env python3
"""smollm and llama.cpp on the same file, by turns, with the limits of the machine measured around each round.

usage: compare.py LLAMA_CPP MODEL [--rounds 5] [--threads 2] [--prompt 512] [--generate 64]
    LLAMA_CPP   folder of a built llama.cpp (bench/llamacpp_build.sh makes one)

Prints the median of each figure, its range, and the ratio of medians. Only figures of one run can be compared: machines are
shared and have moods. Rounds in which the read bandwidth moved by more than 10 % are dropped and counted.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def output(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def bandwidth(threads):
    text = output(ROOT / "build" / "bench" / "roofline", threads)
    return float(re.findall(r"read, \d+ thread\(s\): ([\d.]+)", text)[-1])


def smollm(options):
    command = [ROOT / "build" / "smollm", "bench", options.model, "-p", options.prompt, "-n", options.generate, "-r", 1, "-t",
               options.threads, "--json"]
    return {x["test"]: x["tokens_per_second"]["median"] for x in json.loads(output(*command))}, command


def llama_cpp(options, flash):
    program = next(p for p in pathlib.Path(options.llama_cpp).rglob("llama-bench") if p.is_file())
    command = [program, "-m", options.model, "-p", options.prompt, "-n", options.generate, "-r", 1, "-t", options.threads, "-fa",
               flash, "-o", "json"]
    found = json.loads(output(*command))
    return {("prefill" if x["n_prompt"] else "decode"): x["avg_ts"] for x in found}, command


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp")
    parser.add_argument("model")
    for name, default in (("rounds", 5), ("threads", 2), ("prompt", 512), ("generate", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    ours, theirs, limits, dropped = [], [], [], 0
    for _ in range(options.rounds):
        before = bandwidth(options.threads)
        mine, my_command = smollm(options)
        runs = [llama_cpp(options, flash) for flash in (0, 1)]
        after = bandwidth(options.threads)
        if abs(after - before) > 0.1 * before:
            dropped += 1
            continue
        ours.append(mine)
        theirs.append({test: max(run[0][test] for run in runs) for test in mine})
        limits.append((before + after) / 2)
    print(" ".join(map(str, my_command)))
    print(" ".join(map(str, runs[-1][1])), "(the better of -fa 0 and 1)")
    print(f"{len(ours)} rounds, {dropped} dropped because the bandwidth moved by more than 10 %")
    if not ours:
        raise SystemExit("no round is left")
    print(f"read bandwidth {statistics.median(limits):.1f} GB/s")
    for test in ours[0]:
        a, b = [x[test] for x in ours], [x[test] for x in theirs]
        print(f"{test:8} smollm {statistics.median(a):9.1f} ({min(a):.1f} to {max(a):.1f})   llama.cpp "
              f"{statistics.median(b):9.1f} ({min(b):.1f} to {max(b):.1f})   ratio {statistics.median(a) / statistics.median(b):.2f}")


main()
