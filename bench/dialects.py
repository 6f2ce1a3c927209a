#!/usr/bin/env python3
"""What a protocol costs: tokens per second of a stream in each of them, relative to OpenAI's chat, within one run.

usage: dialects.py MODEL [--rounds 7] [--tokens 200]

Starts build/smollm (or what SMOLLM names) and asks for the same answer in each protocol, one after the other in every round, from the first to
the last byte of the stream. Prints for each protocol the median of its ratios. The prompt is cached after the first round, which does not count.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "server"))
from server_process import Server  # noqa: E402

TEXT = "Write a long story about a lighthouse, a storm and a letter."


def requests(tokens):
    messages = [{"role": "user", "content": TEXT}]
    return {"OpenAI chat": ("/v1/chat/completions", {"messages": messages, "max_tokens": tokens, "temperature": 0, "stream": True}),
            "Responses": ("/v1/responses", {"model": "m", "input": TEXT, "max_output_tokens": tokens, "temperature": 0, "stream": True}),
            "Anthropic": ("/v1/messages", {"model": "m", "messages": messages, "max_tokens": tokens, "temperature": 0, "stream": True}),
            "Ollama": ("/api/chat", {"model": "m", "messages": messages, "options": {"num_predict": tokens, "temperature": 0}})}


def seconds(server, path, body):
    begin = time.perf_counter()
    with server.http.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200, answer.read()
        data = b"".join(answer.iter_raw())
    return time.perf_counter() - begin, len(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=200)
    options = parser.parse_args()
    wanted, times, sizes = requests(options.tokens), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        server = Server(pathlib.Path(folder), options.model, "-c", "2048", "-np", "1", "--spec", "off")
        for round_ in range(options.rounds + 1):
            for name, (path, body) in wanted.items():
                taken, sizes[name] = seconds(server, path, body)
                if round_ > 0:
                    times.setdefault(name, []).append(taken)
        server.stop()
    first = next(iter(wanted))
    for name in wanted:
        ratio = statistics.median(a / b for a, b in zip(times[first], times[name]))
        print(f"{name:12} {options.tokens / statistics.median(times[name]):8.1f} tokens/s  {ratio:6.3f} of {first}'s  {sizes[name]:7} bytes")


if __name__ == "__main__":
    main()
