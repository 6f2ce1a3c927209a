"""Schemas, grammars and expressions that are made to take for ever: each is served or refused as it was decided, in bounded
memory and CPU time. Both are of a process of its own, without what a process with a trivial grammar takes."""
import json
import os
import subprocess
import threading

import pytest

MEMORY_KB, CPU_SECONDS = 64 * 1024, 10
WORDS = "a b c d e f g h i j k l m n o p".split()


def nested(outer, inner, depth):
    for _ in range(depth):
        inner = outer(inner)
    return inner


SERVED, REFUSED = True, False
BOMBS = [
    ("repeats in repeats", SERVED, {"regex": "(" * 10 + "a" + "{1,9})" * 10}),
    ("look-aheads over repeats", SERVED, {"regex": "(?!((a|aa)+)+b)(?!.*(x{1,1000}y{1,1000}){1,1000})(.{1,1000}){1,1000}"}),
    ("stars in a row", SERVED, {"regex": "(.*)*" * 8 + "x"}),
    ("words in any order", SERVED, {"regex": "(a|b|ab|ba|aa|bb)*" * 20}),
    ("parentheses", SERVED, {"regex": "(" * 90 + "a" + ")*" * 90}),
    ("too many parentheses", REFUSED, {"regex": "(" * 100000 + "a" + ")" * 100000}),
    ("a million characters", SERVED, {"regex": "[\\s\\S]{1000000}"}),
    ("look-aheads in look-aheads", SERVED, {"regex": "(?=(?=(?=a.*).*).*)" * 50 + "a*"}),
    ("a long expression", SERVED, {"regex": "a?" * 5000}),
    ("backtracking", SERVED, {"regex": "(a+)+" * 10 + "$"}),
    ("determinization", SERVED, {"regex": ".*a.{200}"}),
    ("a pattern that counts", SERVED, {"schema": {"type": "string", "pattern": "^(a?){999}a{999}$"}}),
    ("patterns that look back", REFUSED, {"schema": {"allOf": [{"pattern": "a.{40}$"}, {"pattern": "b.{41}$"}, {"pattern": "c.{42}$"}], "type": "string",
                                                    "not": {"pattern": "d.{39}$"}}}),
    ("a length and a pattern", REFUSED, {"schema": {"type": "string", "minLength": 9999999, "pattern": "^(ab)*$"}}),
    ("many alternatives of repeats", SERVED, {"schema": {"type": "string", "pattern": "^(" + "|".join(f"a{{{i}}}b*" for i in range(1, 400)) + ")$"}}),
    ("a large divisor", SERVED, {"schema": {"type": "number", "multipleOf": 999983, "minimum": -1e300, "maximum": 1e300}}),
    ("divisors", SERVED, {"schema": {"type": "integer", "allOf": [{"multipleOf": p} for p in (7, 11, 13, 17, 19, 23, 29, 31)]}}),
    ("a divisor of many digits", REFUSED, {"schema": {"type": "number", "multipleOf": 1e-300}}),
    ("rules that repeat rules", SERVED, {"grammar": "root ::= a{2000}\na ::= b{2000}\nb ::= c{2000}\nc ::= \"x\" d\nd ::= \"y\" | c"}),
    ("an ambiguous grammar", SERVED, {"grammar": "root ::= x x x x x x x x x x\nx ::= y y y y y y y y\ny ::= z? z? z? z? z?\nz ::= \"a\" | \"a\" z | \"b\" root"}),
    ("left recursion", REFUSED, {"grammar": "root ::= a\na ::= b? a \"x\" | \"y\"\nb ::= \"z\""}),
    ("a long chain of rules", REFUSED, {"grammar": "".join(f"r{i} ::= r{i + 1} | \"a\"\n" for i in range(1500)) + "r1500 ::= \"b\"\nroot ::= r0"}),
    ("a grammar without an end", REFUSED, {"grammar": "root ::= \"a\" root"}),
    ("a huge choice", SERVED, {"choice": [f"choice number {i}" for i in range(60000)]}),
    ("exactly one of 40", REFUSED, {"schema": {"type": "object", "oneOf": [{"properties": {f"p{i}": {"type": "string"}}, "required": [f"p{i}"]} for i in range(40)]}}),
    ("members left over", REFUSED, {"schema": {"anyOf": [{"allOf": [{"properties": {f"a{i}{k}": {"type": "integer"}}} for k in range(20)]} for i in range(100)],
                                               "unevaluatedProperties": False}}),
    ("a formula", REFUSED, {"schema": {"allOf": [{"anyOf": [{"required": [f"x{i}"]}, {"required": [f"y{i}"]}]} for i in range(30)]}}),
    ("a negated formula", SERVED, {"schema": {"not": {"allOf": [{"oneOf": [{"required": [f"x{i}"]}, {"required": [f"y{i}"]}]} for i in range(12)]}}}),
    ("counted elements in counted elements", SERVED, {"schema": {"type": "array", "contains": {"minItems": 2}, "minContains": 3, "maxContains": 9, "items": {
        "type": "array", "contains": {"type": "array", "contains": {"const": 2}, "maxContains": 5}, "uniqueItems": True}}}),
    ("references that double", REFUSED, {"schema": {"$ref": "#/$defs/d0", "$defs": {
        **{f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(60)}, "d60": {"type": "object"}}}}),
    ("references in a circle", REFUSED, {"schema": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}}),
    ("a value in itself", REFUSED, {"schema": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}}),
    ("nesting", SERVED, {"schema": nested(lambda inner: {"items": inner}, {}, 150)}),
    ("overlapping patterns of names", SERVED, {"schema": {"patternProperties": {f"^.*{c}.*$": {"type": "integer", "minimum": i} for i, c in enumerate(WORDS)}}}),
    ("a chain of dependencies", SERVED, {"schema": {"dependentSchemas": {
        f"k{i}": {"required": [f"k{i + 1}"], "oneOf": [{"minProperties": 2}, {"maxProperties": 1}]} for i in range(25)}}}),
    ("a large enum", SERVED, {"schema": {"enum": [{"k": list(range(i))} for i in range(300)]}}),
    ("a negated enum", REFUSED, {"schema": {"type": "object", "not": {"enum": [{f"k{i}": i} for i in range(40)]}}}),
    ("many members", SERVED, {"schema": {"type": "object", "properties": {f"member_{i}": {"type": "string", "maxLength": i} for i in range(3000)},
                                         "required": [f"member_{i}" for i in range(0, 3000, 2)]}}),
    ("conditions on conditions", SERVED, {"schema": nested(lambda inner: {"if": inner, "then": {"minProperties": 1}, "else": {"maxProperties": 9}}, {"required": ["a"]}, 12)}),
    ("different elements", SERVED, {"schema": {"type": "array", "uniqueItems": True, "minItems": 200, "items": {"type": "integer", "minimum": 1, "maximum": 200},
                                               "prefixItems": [{"type": "integer", "minimum": 1, "maximum": i + 1} for i in range(50)]}}),
    ("kinds of kinds", SERVED, {"schema": nested(lambda inner: {"oneOf": [{"type": "array", "items": inner}, {"type": "object", "additionalProperties": inner}]},
                                                 {"type": "string"}, 12)}),
]
INSTANCES = ['{"a":1}', '"aaaa"', "aaaa", "[1,2,3]", '{"k":[0,1]}', "choice number 7"]


def run(line):
    """Answer, peak of memory (KB) and CPU time (s) of a process for one line."""
    process = subprocess.Popen([os.environ["SMOLLM"], "constrain", os.environ["SMOLLM_TEST_MODEL"], "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    watch = threading.Timer(120, process.kill)
    watch.start()
    process.stdin.write(json.dumps({**line, "instances": INSTANCES}).encode() + b"\n")
    process.stdin.close()
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    watch.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (process.returncode, out[:200])
    return json.loads(out), usage.ru_maxrss, usage.ru_utime + usage.ru_stime


@pytest.fixture(scope="module")
def trivial():
    return run({"regex": "a"})


def test_there_are_40():
    assert len(BOMBS) >= 40


@pytest.mark.parametrize("name, served, line", BOMBS, ids=[name for name, _, _ in BOMBS])
def test_bombs(trivial, name, served, line):
    answer, memory, cpu = run(line)
    assert answer["ok"] == served, answer.get("error", "it is served")
    assert served or answer["error"]
    assert memory - trivial[1] < MEMORY_KB, memory - trivial[1]
    assert cpu - trivial[2] < CPU_SECONDS
