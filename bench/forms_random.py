#!/usr/bin/env python3
"""Whatever a model wants to write, finished answers are valid: a model of random weights, many schemas, PyPI jsonschema.

usage: forms_random.py MODEL FOLDER [--count N] [--seeds N] [--tokens N]     (in an environment with jsonschema)

FOLDER holds MaskBench's files. MODEL is best a small file of bench/synth_gguf.py. Prints every finished answer that is not
valid, and how many finished.
"""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import jsonschema


def ask(port, schema, seed, tokens):
    body = {"prompt": "x", "json_schema": schema, "n_predict": tokens, "temperature": 1, "seed": seed}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        return json.load(urllib.request.urlopen(request, timeout=600))
    except urllib.error.HTTPError as error:
        return {"error": json.load(error)["error"]["message"]}


def judge(path, schema, answer, count):
    if "error" in answer:
        count["refused, or ended with an error"] += 1
        print("error", path.name, answer["error"][:150])
        return
    if answer["stop_type"] != "eos":
        count["cut at the limit"] += 1
        return
    count["finished"] += 1
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        value = json.loads(answer["content"])
        kind(schema, format_checker=kind.FORMAT_CHECKER).validate(value)
    except (jsonschema.ValidationError, json.JSONDecodeError) as error:
        count["not valid"] += 1
        print("INVALID", path.name, str(error).splitlines()[0][:150], answer["content"][:200])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=200)
    arguments = parser.parse_args()
    port, count = 18183, collections.Counter()
    server = subprocess.Popen(["build/smollm", "serve", arguments.model, "--port", str(port), "-np", "16", "-c", "1024"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    time.sleep(3)
    files = sorted(pathlib.Path(arguments.folder).glob("*.json"))
    random.Random(3).shuffle(files)
    begin = time.monotonic()
    try:
        for path in files[:arguments.count]:
            schema = json.loads(path.read_text())["schema"]
            with ThreadPoolExecutor(arguments.seeds) as pool:
                for answer in pool.map(lambda seed: ask(port, schema, seed, arguments.tokens), range(arguments.seeds)):
                    judge(path, schema, answer, count)
            assert server.poll() is None, "the server has ended"
    finally:
        server.terminate()
    print(dict(count), f"{time.monotonic() - begin:.0f} s")
