#!/usr/bin/env python3
"""Masks of random states of random schemas, token by token, against the slow recognizer of tests/grammar.

usage: masks_random.py MODEL... [--schemas N] [--states N] [--seed N]     (in an environment with jsonschema)

Every schema allows a finite set of values, of which PyPI jsonschema says which are valid; every mask of `smollm constrain`
must be exactly the tokens with which the text can go on to one of them. Texts have random spellings, spaces and orders of
members. Prints what differs, and counts.
"""
import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests" / "grammar"))
from recognizer import SPACE, Recognizer, allowed, hash_of, make_tree, units  # noqa: E402

FEW = ["a", "b", "ab", None, True, 1, 10]
SCALARS = [None, True, False, *range(-3, 13), *("".join(p) for n in range(4) for p in itertools.product("ab", repeat=n)), "é", "\"", "\\", "x1", "😀"]
INNER = [{}, {"a": None}, {"b": "a"}, [], [True], ["a", "b"], "a", None]
# Without it a number may be written with a point or an exponent, which the recognizer does not know.
NO_FRACTION = {"type": ["string", "integer", "null", "boolean", "array", "object"]}
NAMES = ["a", "b", "ab"]


# ---- Schemas with a finite set of values ----

def bounds(chance):
    """A schema of a finite set, and the set."""
    kind = chance.choice(["scalars", "integers", "letters", "array", "array", "object", "object", "object", "nested"])
    if kind == "scalars":
        values = chance.sample(SCALARS, chance.randint(2, len(SCALARS)))
        return {"enum": values, **NO_FRACTION}, values
    if kind == "integers":
        low, high = sorted(chance.sample(range(-30, 130), 2))
        return {"type": "integer", "minimum": low, "maximum": high}, list(range(low, high + 1))
    if kind == "letters":
        n = chance.randint(1, 4)
        return {"type": "string", "pattern": "^[ab]{0,%d}$" % n}, ["".join(p) for k in range(n + 1) for p in itertools.product("ab", repeat=k)]
    few = chance.sample(FEW, chance.randint(2, 4))
    if kind == "array":
        n = chance.randint(1, 3)
        return {"type": "array", "items": {"enum": few, **NO_FRACTION}, "maxItems": n}, [list(p) for k in range(n + 1) for p in itertools.product(few, repeat=k)]
    names = chance.sample(NAMES, chance.randint(1, 3))
    choices = {name: few[:3] if kind == "object" else chance.sample(INNER, 3) for name in names}
    schema = {"type": "object", "properties": {name: {"enum": v, **NO_FRACTION} for name, v in choices.items()}, "additionalProperties": False}
    values = [dict(zip(chosen, picked)) for k in range(len(names) + 1) for chosen in itertools.combinations(names, k)
              for picked in itertools.product(*(choices[name] for name in chosen))]
    return schema, values


def scalar_condition(chance):
    return chance.choice([
        lambda: {"type": chance.choice(["string", "integer", "null", "boolean", "number", "array", "object", ["string", "null"], ["integer", "boolean"]])},
        lambda: {"const": chance.choice(FEW)}, lambda: {"enum": chance.sample(FEW + [[], {}], 3)},
        lambda: {"minimum": chance.randint(-3, 8)}, lambda: {"exclusiveMaximum": chance.randint(0, 100)}, lambda: {"multipleOf": chance.choice([2, 3, 5, 0.5])},
        lambda: {"pattern": chance.choice(["a", "^a", "b$", "^(ab|b)", "^[^a]*$", "(?=a)", "^(?!ab)"])},
        lambda: {"minLength": chance.randint(0, 3)}, lambda: {"maxLength": chance.randint(0, 3)}])()


def condition(chance, depth, is_negated=False):
    """is_negated: it may have to be broken. Arrays that repeat an element, and members that are left over, are then not written
    (docs/constrained.md), so "uniqueItems" and "unevaluated..." do not occur there."""
    some = lambda: condition(chance, depth - 1, is_negated)  # noqa: E731
    either = lambda: condition(chance, depth - 1, True)  # noqa: E731
    kinds = [lambda: scalar_condition(chance)] * 2 + [
        lambda: {"required": chance.sample(NAMES, chance.randint(1, 2))}, lambda: {"minProperties": chance.randint(0, 2)},
        lambda: {"maxProperties": chance.randint(0, 3)}, lambda: {"dependentRequired": {chance.choice(NAMES): chance.sample(NAMES, 1)}},
        lambda: {"minItems": chance.randint(0, 3)}, lambda: {"maxItems": chance.randint(0, 3)}, lambda: {"propertyNames": scalar_condition(chance)}]
    if not is_negated:
        kinds += [lambda: {"uniqueItems": True}] * 2
    if depth > 0:
        kinds += [
            lambda: {"not": either()}, lambda: {"oneOf": [either() for _ in range(chance.randint(2, 3))]}, lambda: {"anyOf": [some(), some()]},
            lambda: {"allOf": [some(), some()]}, lambda: {"if": either(), "then": some()}, lambda: {"if": either(), "else": some()},
            lambda: {"if": either(), "then": some(), "else": some()}, lambda: {"items": some()}, lambda: {"contains": some()},
            lambda: {"contains": either(), "minContains": chance.randint(0, 2), "maxContains": chance.randint(0, 2)},
            lambda: {"prefixItems": [some() for _ in range(chance.randint(1, 2))]}, lambda: {"prefixItems": [some()], "items": some()},
            lambda: {"properties": {name: some() for name in chance.sample(NAMES, chance.randint(1, 2))}},
            lambda: {"properties": {chance.choice(NAMES): some()}, "additionalProperties": some()},
            lambda: {"patternProperties": {chance.choice(["a", "^b", "^.$"]): some()}}, lambda: {"additionalProperties": some()},
            lambda: {"dependentSchemas": {chance.choice(NAMES): some()}}]
        if not is_negated:
            kinds += [lambda: {"anyOf": [{"properties": {chance.choice(NAMES): some()}}, some()], "unevaluatedProperties": False},
                      lambda: {"anyOf": [{"prefixItems": [some()]}, some()], "unevaluatedItems": some()}]
    return chance.choice(kinds)()


def random_schema(chance):
    bound, values = bounds(chance)
    extra = [condition(chance, chance.randint(0, 2)) for _ in range(chance.randint(1, 3))]
    if chance.random() < 0.5:
        schema = {"allOf": [bound, *extra]}
    else:
        schema = dict(bound)
        for one in extra:
            # Beside the bound these would let in more than its set.
            if any(key in schema or key in ("patternProperties", "prefixItems") for key in one):
                schema.setdefault("allOf", []).append(one)
            else:
                schema.update(one)
    return schema, values


# ---- Texts ----

def text_of(value, chance):
    """One of the texts that the recognizer takes, as bytes."""
    if isinstance(value, dict):
        members = list(value.items())
        chance.shuffle(members)
        value = dict(members)
    form = next(iter(units(value))) if not isinstance(value, (dict, list)) else chance.choice(list(itertools.islice(units(value), 6)))
    out, way = b"", chance.choice(["plain", "spaces", "random", "escaped"])
    for unit in form:
        if unit == SPACE:
            out += b" " if way == "spaces" or (way == "random" and chance.random() < 0.5) else b""
        else:
            out += unit[0] if way in ("plain", "spaces") else unit[-1] if way == "escaped" else chance.choice(unit)
    return out.decode()


class Vocabulary:
    def __init__(self, path):
        build = pathlib.Path(os.environ.get("SMOLLM_BUILD_DIR", "build"))
        listed = json.loads(subprocess.run([build / "tests" / "grammar" / "list_tokens", path], stdout=subprocess.PIPE, check=True).stdout)
        self.path, self.texts, self.ends = path, [bytes.fromhex(t) for t in listed["tokens"]], listed["ends"]
        self.tree = make_tree({i: t for i, t in enumerate(self.texts) if t})
        self.constrain, self.tokenize = (subprocess.Popen([build / "smollm", command, path, "--jsonl", *options], stdin=subprocess.PIPE,
                                                          stdout=subprocess.PIPE, text=True)
                                         for command, options in (("constrain", ["--trace"]), ("tokenize", [])))

    def ask(self, process, line):
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    def close(self):
        for process in (self.constrain, self.tokenize):
            process.stdin.close()
            process.wait(timeout=60)


def check(vocabulary, schema, valid, states, chance, count):
    recognizer = Recognizer(valid)
    texts = [text_of(chance.choice(valid), chance) for _ in range(6)]
    answer = vocabulary.ask(vocabulary.constrain, {"schema": schema, "instances": texts})
    if not answer["ok"]:
        count["refused"] += 1
        print("refused:", json.dumps(schema), answer["error"], flush=True)
        return
    places = []
    for text, accepted, trace in zip(texts, answer["accepted"], answer["trace"]):
        if not accepted:
            count["valid texts refused"] += 1
            print("REFUSED", json.dumps(schema), text, flush=True)
        else:
            places += [(text, trace, i) for i in range(len(trace))]
    for text, trace, at in chance.sample(places, min(states, len(places))):
        ids, state = vocabulary.ask(vocabulary.tokenize, text), recognizer.start
        before = b"".join(vocabulary.texts[i] for i in ids[:at])
        for byte in before:
            state = recognizer.step(state, byte)
        want = allowed(recognizer, state, vocabulary.tree)
        if recognizer.accepts(state):
            want = sorted({*want, *vocabulary.ends})
        count["masks"] += 1
        if trace[at] != [len(want), hash_of(want)]:
            count["masks that differ"] += 1
            print("DIFFERS", json.dumps(schema), before.decode(errors="replace"), "has", trace[at][0], "tokens, wants", len(want), flush=True)


def main(models, schemas, states, seed):
    chance, count, begin = random.Random(seed), collections.Counter(), time.monotonic()
    vocabularies = [Vocabulary(path) for path in models]
    while count["schemas"] < schemas:
        schema, values = random_schema(chance)
        validator = jsonschema.Draft202012Validator(schema)
        valid = [v for v in values if validator.is_valid(v)]
        if not 1 <= len(valid) <= 400:
            count["schemas passed over"] += 1
            continue
        count["schemas"] += 1
        for vocabulary in vocabularies:
            check(vocabulary, schema, valid, -(-states // schemas), random.Random(chance.random()), count)
    for vocabulary in vocabularies:
        vocabulary.close()
    print(dict(count), f"{time.monotonic() - begin:.0f} s")
    return count["masks that differ"] + count["valid texts refused"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--schemas", type=int, default=200)
    parser.add_argument("--states", type=int, default=2000, help="for each model")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(main(given.models, given.schemas, given.states, given.seed) > 0)
