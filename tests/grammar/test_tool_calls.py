"""Calls under `tool_choice: required`: for typed arguments, the values that a right call may have are reachable, and the
same calls with values of other types are not. BFCL's thousands of such cases are in bench/tool_calls_bfcl.py."""
import itertools
import json
import os
import random
import subprocess

import pytest

# For each argument: its schema, values that it may have, values that it may not have.
ARGUMENTS = {
    "text": ({"type": "string"}, ["", "Paris", "Grüße \"x\"\n"], [1, None, True, ["a"], {}]),
    "whole": ({"type": "integer"}, [0, -7, 12345678901234567890], ["1", 1.5, None, False, []]),
    "number": ({"type": "number"}, [0, -2.25, 1e30], ["1.5", None, True]),
    "flag": ({"type": "boolean"}, [True, False], ["true", 0, 1, None]),
    "unit": ({"type": "string", "enum": ["celsius", "fahrenheit"]}, ["celsius", "fahrenheit"], ["Celsius", "kelvin", "", None, 0]),
    "texts": ({"type": "array", "items": {"type": "string"}}, [[], ["a"], ["a", "b", "a"]], [[1], ["a", None], "a", {}, None]),
    "matrix": ({"type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 1}}, [[[1, 2.5], [0]], []],
               [[[]], [[1, "2"]], [1], [[1], None]]),
    "place": ({"type": "object", "properties": {"latitude": {"type": "number", "minimum": -90, "maximum": 90}, "name": {"type": ["string", "null"]}},
               "required": ["latitude"]}, [{"latitude": 90}, {"latitude": -1.5, "name": None}],
              [{}, {"latitude": 91}, {"latitude": "1"}, {"name": "x"}, {"latitude": 1, "other": 2}, {"latitude": 1, "name": 2}, []]),
    "when": ({"type": "string", "format": "date"}, ["2026-11-28"], ["2026-11-31", "28.11.2026", "tomorrow"]),
    "maybe": ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, [None, 3], ["3", False]),
}
TOOLS = {"search.find": ["text", "unit"], "search": ["whole", "texts", "flag"], "set_place": ["place", "number"], "plan": ["when", "matrix", "maybe"],
         "quo\"te": ["text"], "nothing": []}
OPTIONAL = {"unit", "flag", "number", "maybe"}


def definition(name):
    names = TOOLS[name]
    return {"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {a: ARGUMENTS[a][0] for a in names}, "required": [a for a in names if a not in OPTIONAL]}}}


def text(name, arguments, compact=False):
    more = {"separators": (",", ":")} if compact else {}
    return "<tool_call>\n%s\n</tool_call>" % json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False, **more)


def cases():
    """(text, whether it is allowed)"""
    chance = random.Random(20261128)
    for name, names in TOOLS.items():
        kept = [[(a, v) for v in ARGUMENTS[a][1]] + ([None] if a in OPTIONAL else []) for a in names]
        right = [dict(pair for pair in pairs if pair) for pairs in itertools.product(*kept)]
        for arguments in right:
            yield text(name, arguments), True
            yield text(name, arguments, compact=True), True
        base = dict((a, ARGUMENTS[a][1][0]) for a in names)
        for a in names:
            for wrong in ARGUMENTS[a][2]:
                yield text(name, {**chance.choice(right), **base, a: wrong}), False
            if a not in OPTIONAL:
                yield text(name, {k: v for k, v in base.items() if k != a}), False
        if names:
            yield text(name, {**base, "unknown": 1}), False
        if len(names) > 1:
            yield text(name, dict(reversed(base.items()))), False
        for other in ("", name + "x", name[:-1], name.upper()):
            yield text(other, base), False
        yield text(name, [base]), False
        yield json.dumps({"name": name, "arguments": base}), False


def ask(line):
    done = subprocess.run([os.environ["SMOLLM"], "constrain", os.environ["SMOLLM_TEST_MODEL"], "--jsonl"], input=json.dumps(line).encode() + b"\n",
                          stdout=subprocess.PIPE, check=True, timeout=120)
    return json.loads(done.stdout)


def test_right_calls_and_wrong_types():
    wanted = list(cases())
    assert len(wanted) > 150
    answer = ask({"tools": [definition(name) for name in TOOLS], "instances": [t for t, _ in wanted]})
    assert answer["ok"], answer
    for (call, allowed), accepted in zip(wanted, answer["accepted"]):
        assert accepted == allowed, call


def test_several_calls_and_text_around_them():
    one, two = text("nothing", {}), text("search.find", {"text": "x"})
    texts = [one + "\n" + two, one + two, two, "Sure! " + one, one + "\nDone.", "", one[:-1], "I cannot do that."]
    tools = [definition(name) for name in TOOLS]
    assert ask({"tools": tools, "instances": texts})["accepted"] == [True, True, True] + [False] * 5
    assert ask({"tools": tools, "instances": texts, "parallel_tool_calls": False})["accepted"] == [False, False, True] + [False] * 5


def test_a_call_that_the_model_begins():
    """Under `auto` the grammar begins behind the mark; a schema that cannot be followed takes any object."""
    odd = {"name": "odd", "parameters": {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}}
    bodies = [text("search", {"whole": 1, "texts": []}), text("search", {"whole": "1", "texts": []}), text("odd", {"a": [1]}), text("odd", 1)]
    line = {"tools": [definition("search"), odd], "tool_choice": "auto", "instances": [b.removeprefix("<tool_call>") for b in bodies]}
    assert ask(line)["accepted"] == [True, False, True, False]
    refused = ask({**line, "tool_choice": "required"})
    assert not refused["ok"] and "tool 'odd'" in refused["error"]


def test_bare_calls():
    """Llama 3.1's: one call is the whole answer. Once the model has begun one, white space is its own affair."""
    tools = [definition(name) for name in TOOLS]
    wanted = [('{"name": "search", "parameters": {"whole": 1, "texts": []}}', True), ('{"name":"nothing","parameters":{}}', True),
              ('{"name": "search", "parameters": {"whole": "1", "texts": []}}', False), ('{"name": "other", "parameters": {}}', False),
              ('{"name": "nothing", "arguments": {}}', False), ('{"parameters": {}, "name": "nothing"}', False), ('{"name": "nothing"}', False),
              ('{"name": "nothing", "parameters": {}}\n{"name": "nothing", "parameters": {}}', False), (text("nothing", {}), False), ("Hello", False)]
    spaced = [('{\n  "name": "nothing",\n  "parameters": {}\n}', True), ('{ "type":"function" , "name" :"nothing","parameters":{} }', True),
              ('{"type": "object", "name": "nothing", "parameters": {}}', False), ('{\n  "name": "other",\n  "parameters": {}\n}', False),
              ('{"name": "nothing",' + " " * 40 + '"parameters": {}}', False)]
    for choice, more in (("required", False), ("auto", True)):
        line = {"tools": tools, "tool_choice": choice, "bare": True, "instances": [t for t, _ in wanted + spaced]}
        assert ask(line)["accepted"] == [w for _, w in wanted] + [w and more for _, w in spaced]


@pytest.mark.parametrize("tools", [1, [1], [{}], [{"name": ""}], [{"name": 1}], []])
def test_tools_that_are_none(tools):
    done = subprocess.run([os.environ["SMOLLM"], "constrain", os.environ["SMOLLM_TEST_MODEL"], "--jsonl"], timeout=60, stdout=subprocess.PIPE,
                          input=json.dumps({"tools": tools, "instances": []}).encode() + b"\n", stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"tool" in done.stderr or not json.loads(done.stdout)["ok"]
