#!/usr/bin/env python3
"""What `smollm constrain` covers: MaskBench's schemas, and JSON-Schema-Test-Suite. Prints the tables of docs/constrained.md.

usage: constrain_coverage.py MODEL [--maskbench FOLDER] [--suite FOLDER] [--misses]

MaskBench's files are {"schema", "tests": [{"data", "valid"}]}; the suite's folder is json/tests of the source package of
PyPI jsonschema.
"""
import argparse
import collections
import json
import pathlib
import subprocess

DRAFTS = {"draft4": "http://json-schema.org/draft-04/schema#", "draft6": "http://json-schema.org/draft-06/schema#",
          "draft7": "http://json-schema.org/draft-07/schema#", "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
          "draft2020-12": "https://json-schema.org/draft/2020-12/schema"}


class Constrain:
    def __init__(self, model):
        self.process = subprocess.Popen(["build/smollm", "constrain", model, "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, schema, values):
        def text(value):
            dumped = json.dumps(value, ensure_ascii=False)
            return dumped if all(not 0xD800 <= ord(c) < 0xE000 for c in dumped) else json.dumps(value)
        self.process.stdin.write(json.dumps({"schema": schema, "instances": [text(v) for v in values]}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def maskbench(ours, folder, misses):
    files = sorted(pathlib.Path(folder).glob("*.json"))
    count, refused, lost = collections.Counter(), collections.Counter(), []
    for path in files:
        case = json.loads(path.read_text())
        answer = ours.ask(case["schema"], [test["data"] for test in case["tests"]])
        count["compiled"] += answer["ok"]
        if not answer["ok"]:
            refused[f"{path.name}: {answer['error']}"] += 1
            continue
        for test, accepted in zip(case["tests"], answer["accepted"]):
            kind = "valid" if test["valid"] else "invalid"
            count[kind] += 1
            count[kind + " accepted"] += accepted
            if accepted != test["valid"]:
                lost.append(f"{path.name}: {kind} instance is {'accepted' if accepted else 'refused'}")
    print(f"| MaskBench, {len(files)} schemas | {100 * count['compiled'] / len(files):.2f} % compiled | "
          f"{count['invalid accepted']} of {count['invalid']} invalid instances accepted | "
          f"{count['valid accepted']} of {count['valid']} valid ones accepted |")
    if misses:
        print(*sorted(refused), *lost, sep="\n")


def suite(ours, folder, misses):
    for draft, address in DRAFTS.items():
        total = right = wrong = refused = 0
        for path in sorted((pathlib.Path(folder) / draft).glob("*.json")):
            for case in json.loads(path.read_text()):
                schema = case["schema"]
                if isinstance(schema, dict):
                    schema = {"$schema": address, **schema}
                answer = ours.ask(schema, [test["data"] for test in case["tests"]])
                for i, test in enumerate(case["tests"]):
                    total += 1
                    # A schema that no value meets is refused when it is compiled: its instances are invalid, as they should be.
                    accepted = answer["ok"] and answer["accepted"][i]
                    refused += not answer["ok"] and "no value meets" not in answer["error"]
                    right += accepted == test["valid"]
                    wrong += accepted and not test["valid"]
                    if misses and accepted != test["valid"]:
                        print(draft, path.name, case["description"], test["description"], answer.get("error", ""), sep=": ")
        print(f"| {draft} | {total} | {right} | {wrong} | {refused} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--maskbench")
    parser.add_argument("--suite")
    parser.add_argument("--misses", action="store_true")
    arguments = parser.parse_args()
    if arguments.maskbench:
        maskbench(Constrain(arguments.model), arguments.maskbench, arguments.misses)
    if arguments.suite:
        suite(Constrain(arguments.model), arguments.suite, arguments.misses)
