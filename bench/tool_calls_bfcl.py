#!/usr/bin/env python3
"""Which calls `tool_choice: required` allows: those that BFCL accepts as right, and the same calls with arguments of wrong
types. Prints the table of docs/constrained.md.

usage: tool_calls_bfcl.py MODEL FOLDER [--misses]     (in an environment with jsonschema)

FOLDER is bfcl_eval/data of PyPI bfcl-eval: definitions of tools, and in possible_answer/ the values that each argument of
the right call may have. Its types are made those of JSON Schema as bfcl-eval does for OpenAI's models. Every right call
whose arguments PyPI jsonschema finds valid must be reachable token by token; every other must not.
"""
import argparse
import collections
import json
import pathlib
import subprocess

import jsonschema

TYPES = {"float": "number", "double": "number", "bool": "boolean", "list": "array", "tuple": "array", "ArrayList": "array", "Array": "array",
         "Queue": "array", "Stack": "array", "dict": "object", "HashMap": "object", "Hashtable": "object", "any": "string", "Any": "string",
         "char": "string", "String": "string", "byte": "integer", "short": "integer", "long": "integer", "Bigint": "integer"}
OTHERS = ["x", 3, 2.5, True, None, [], {}]


def schema_of(value, all_strings=False):
    """Java's and JavaScript's arguments are strings with source code, whatever their type."""
    out = {k: v for k, v in value.items() if k not in ("properties", "items", "optional")}
    kind = value.get("type", "string")
    out["type"] = TYPES.get(kind, kind)
    if "properties" in value:
        out["properties"] = {k: {"type": "string"} if all_strings else schema_of(v) for k, v in value["properties"].items()}
    if isinstance(value.get("items"), dict):
        out["items"] = schema_of(value["items"])
    if not isinstance(out.get("required", []), list):
        del out["required"]
    return out


def as_listed(value, schema):
    """Members in the order of the schema, as requests hold a model to it."""
    if isinstance(value, dict):
        names = list(schema.get("properties", {}))
        members = sorted(value.items(), key=lambda m: names.index(m[0]) if m[0] in names else len(names))
        return {k: as_listed(v, schema.get("properties", {}).get(k, {})) for k, v in members}
    return [as_listed(v, schema.get("items", {})) for v in value] if isinstance(value, list) else value


def is_as_listed(value, schema):
    if isinstance(value, dict):
        names = schema.get("properties")
        return all(not names or k in names and is_as_listed(v, names[k]) for k, v in value.items())
    return all(is_as_listed(v, schema.get("items", {})) for v in value) if isinstance(value, list) else True


def values_of(one):
    """The values that an alternative stands for: members of an object have alternatives themselves."""
    if isinstance(one, list) and any(isinstance(v, dict) for v in one):
        firsts = [next(iter(values_of(v))) for v in one]
        yield firsts
    elif isinstance(one, dict):
        yield from objects_of(one, ())
    else:
        yield one


def objects_of(members, required):
    """An object with the first alternative of each member, then those that differ from it in one; "" may be left out."""
    chosen = {name: [v for one in (alternatives if isinstance(alternatives, list) else [alternatives]) if one != "" for v in values_of(one)]
              for name, alternatives in members.items()}
    free = [name for name, alternatives in members.items() if isinstance(alternatives, list) and "" in alternatives and name not in required]
    for name in chosen:
        chosen[name] = chosen[name] or [""]
    base = {name: values[0] for name, values in chosen.items()}
    yield base
    for name, values in chosen.items():
        yield from ({**base, name: value} for value in values[1:])
    for name in free:
        yield {k: v for k, v in base.items() if k != name}
    if free:
        yield {k: v for k, v in base.items() if k not in free}


def mutations(arguments, schema):
    for name, value in arguments.items():
        for other in OTHERS:
            if type(other) is not type(value):
                yield {**arguments, name: other}
        if isinstance(value, list) and value:
            yield from ({**arguments, name: [*value[1:], other]} for other in OTHERS if type(other) is not type(value[0]))
        if isinstance(value, dict):
            yield from ({**arguments, name: inner} for inner in mutations(value, schema.get("properties", {}).get(name, {})))
    for name in schema.get("required", []):
        yield {k: v for k, v in arguments.items() if k != name}
    if schema.get("properties"):
        yield {**arguments, "argument_that_does_not_exist": 1}


def text_of(name, arguments):
    return '<tool_call>\n{"name": %s, "arguments": %s}\n</tool_call>' % (
        json.dumps(name, ensure_ascii=False), json.dumps(arguments, ensure_ascii=False))


def entries(folder):
    for answers in sorted((folder / "possible_answer").glob("BFCL_*.json")):
        if not any(kind in answers.name for kind in ("simple", "multiple", "parallel")):
            continue
        truths = {}
        for line in answers.read_text().splitlines():
            truth = json.loads(line)
            truths[truth["id"]] = truth["ground_truth"]
        for line in (folder / answers.name).read_text().splitlines():
            entry = json.loads(line)
            yield answers.stem, entry, truths[entry["id"]]


def main(model, folder, misses):
    process = subprocess.Popen(["build/smollm", "constrain", model, "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    total = collections.Counter()

    def ask(line):
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    for file, entry, truth in entries(folder):
        strings = "java" in file
        tools = [{"name": f["name"], "description": f.get("description", ""), "parameters": schema_of(f["parameters"], strings)}
                 for f in entry["function"]]
        schemas = {tool["name"]: tool["parameters"] for tool in tools}
        kind_of_schema = jsonschema.Draft202012Validator
        checks = {name: kind_of_schema(schema, format_checker=kind_of_schema.FORMAT_CHECKER) for name, schema in schemas.items()}
        wanted, bases = {}, []

        def note(kind, name, arguments):
            if strings and kind == "possible":
                arguments = {k: v if isinstance(v, str) else json.dumps(v) for k, v in arguments.items()}
            arguments = as_listed(arguments, schemas[name])
            is_valid = checks[name].is_valid(arguments) and is_as_listed(arguments, schemas[name])
            # A whole number with a point is valid, but is not written for an integer: the answer cannot be told beforehand.
            if not is_valid or not any(isinstance(v, float) and v == int(v) for v in arguments.values()):
                wanted.setdefault(text_of(name, arguments), (kind if kind == "possible" else "mutated", is_valid))
            return arguments, is_valid

        for call in truth:
            for name, members in call.items():
                for i, arguments in enumerate(objects_of(members, schemas[name].get("required", []))):
                    arguments, is_valid = note("possible", name, arguments)
                    if i == 0:
                        bases.append((name, arguments, is_valid))
        for name, arguments, is_valid in bases:
            for other in mutations(arguments, schemas[name]) if is_valid else ():
                note("mutated", name, other)
            wanted.setdefault(text_of(name + "_", arguments), ("mutated", False))
        whole = [text_of(name, arguments) for name, arguments, _ in bases]
        answer = ask({"tools": tools, "instances": [*wanted, "\n".join(whole)]})
        total["entries"] += 1
        total["tools"] += len(tools)
        if not answer["ok"]:
            total["refused"] += 1
            print(entry["id"], answer["error"])
            continue
        for (text, (kind, is_valid)), accepted in zip(wanted.items(), answer["accepted"]):
            total[kind, is_valid] += 1
            total[kind, is_valid, "accepted"] += accepted
            if accepted != is_valid:
                print("WRONG", entry["id"], kind, "accepted" if accepted else "refused", text)
            elif misses and kind == "possible" and not is_valid:
                print("invalid by BFCL's own schema:", entry["id"], text)
        if len(bases) > 1 and all(is_valid for _, _, is_valid in bases):
            total["parallel"] += 1
            total["parallel accepted"] += answer["accepted"][-1]
            alone = ask({"tools": tools, "instances": ["\n".join(whole)], "parallel_tool_calls": False})
            total["parallel accepted as one"] += alone["accepted"][0]
    process.stdin.close()
    process.wait()
    print(f"| entries (tools) | {total['entries']} ({total['tools']}) |")
    print(f"| refused at compile | {total['refused']} |")
    print(f"| right calls, valid by their schema | {total['possible', True]} |")
    print(f"| of these, reachable | {total['possible', True, 'accepted']} |")
    print(f"| right calls that their schema forbids | {total['possible', False]} |")
    print(f"| of these, reachable | {total['possible', False, 'accepted']} |")
    print(f"| calls with a wrong type, a missing or unknown argument, or another name | {total['mutated', False]} |")
    print(f"| of these, reachable | {total['mutated', False, 'accepted']} |")
    print(f"| answers of several calls | {total['parallel']} |")
    print(f"| of these, reachable; with one call allowed | {total['parallel accepted']}; {total['parallel accepted as one']} |")
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--misses", action="store_true")
    given = parser.parse_args()
    main(given.model, given.folder, given.misses)
