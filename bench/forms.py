#!/usr/bin/env python3
"""What forms cost and save, on a running pair of servers: sixteen constrained streams beside sixteen free ones, and an
extraction with and without guesses at what is certain.

usage: forms.py MODEL [--pairs N]        (starts build/smollm serve by itself)

Each figure is the median of ratios of runs in turns.
"""
import argparse
import json
import statistics
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

RECORD = {"type": "object", "additionalProperties": False, "properties": {
    name: {"type": kind} for name, kind in (("first_name", "string"), ("last_name", "string"), ("date_of_birth", "string"), ("nationality", "string"),
                                            ("occupation", "string"), ("employer", "string"), ("email_address", "string"), ("number_of_children", "integer"),
                                            ("is_married", "boolean"), ("favorite_color", "string"))}}
RECORD["required"] = list(RECORD["properties"])
# Each run has its own text: what an earlier answer said would be guessed too.
NAMES = ("Ada Marie Lovelace", "Charles Babbage", "Grace Brewster Hopper", "Alan Mathison Turing", "Katherine Johnson", "Edsger Dijkstra", "Barbara Liskov")
TEXT = ("Extract the record as JSON: Ada Marie Lovelace, born 10 December 1815, British, works as a mathematician for Analytical Engines Ltd, "
        "ada@example.org, has three children, is married, likes blue.")


class Server:
    def __init__(self, model, port, *options):
        self.port = port
        self.process = subprocess.Popen(["build/smollm", "serve", model, "--port", str(port), "-np", "16", "-c", "2048", *options],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
                return
            except OSError:
                time.sleep(0.1)

    def ask(self, **body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=600))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def crowd(server, form):
    """Tokens per second of sixteen streams; free ones write as many tokens as constrained ones could."""
    endless = {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 30}, "n": {"type": "integer", "maximum": 999}},
                                         "required": ["name", "n"], "additionalProperties": False}, "minItems": 200}
    fields = {"json_schema": endless} if form else {"ignore_eos": True}
    begin = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: server.ask(messages=[{"role": "user", "content": f"{i}: {TEXT}"}], max_tokens=150, temperature=1, seed=i,
                                                     **fields), range(16)))
    return sum(a["usage"]["completion_tokens"] for a in answers) / (time.monotonic() - begin)


def extraction(server, number):
    text = TEXT.replace("Ada Marie Lovelace", NAMES[number % len(NAMES)]).replace("10 December 1815", f"{number + 1} May {1801 + 7 * number}")
    answer = server.ask(messages=[{"role": "user", "content": text}], temperature=0, max_tokens=400, json_schema=RECORD)
    return answer["usage"]["completion_tokens"] / answer["timings"]["predicted_ms"], answer["choices"][0]["message"]["content"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--pairs", type=int, default=7)
    arguments = parser.parse_args()
    servers = [Server(arguments.model, 18181), Server(arguments.model, 18182, "--spec", "off")]
    try:
        ratios, speeds = [], []
        for number in range(arguments.pairs):
            with_guesses, text = extraction(servers[0], number)
            without, other = extraction(servers[1], number)
            assert text == other
            speeds.append(with_guesses / without)
        print(f"extraction of ten fields, with guesses : without  {statistics.median(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})")
        for _ in range(arguments.pairs):
            ratios.append(crowd(servers[1], True) / crowd(servers[1], False))
        print(f"sixteen streams, constrained : free               {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    finally:
        for server in servers:
            server.stop()
