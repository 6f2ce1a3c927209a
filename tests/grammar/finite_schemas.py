"""JSON schemas that allow a few values only, and the values they are chosen from."""
import itertools
import json

INTEGERS = list(range(-3, 13))
STRINGS = ["".join(letters) for size in range(4) for letters in itertools.product("ab", repeat=size)] + ["é", "\"", "\\", "x1", "😀"]
SCALARS = [None, True, False, *INTEGERS, *STRINGS]
SMALL = [None, True, 0, 1, 2, "a", "b", "ab"]
MEMBERS = [1, 2, "a", "b", None, True]


def universe():
    yield from SCALARS
    for size in range(4):
        for elements in itertools.product(SMALL, repeat=size):
            yield list(elements)
    for names in [n for size in range(4) for n in itertools.combinations("abcd", size)]:
        for values in itertools.product(MEMBERS, repeat=len(names)):
            yield dict(zip(names, values))
    for inner in [{}, {"a": 1}, {"a": 2}, [1], [], ["a"]]:
        for name in "abc":
            yield {name: inner}
            yield [inner, 1]


LETTERS = {"type": "string", "pattern": "^[ab]{0,3}$"}
FEW = {"enum": ["a", "b", None, True]}
CLOSED = {"type": "object", "additionalProperties": False}
SCHEMAS = [
    {"type": "integer", "minimum": -3, "maximum": 12},
    {"type": "integer", "exclusiveMinimum": -3, "maximum": 12, "multipleOf": 3},
    {"type": "integer", "minimum": 0, "maximum": 12, "not": {"enum": [1, 10]}},
    {"type": "integer", "oneOf": [{"minimum": 2, "maximum": 8}, {"minimum": 5, "maximum": 12}]},
    LETTERS,
    {**LETTERS, "minLength": 2},
    {**LETTERS, "not": {"pattern": "a$"}},
    {"type": "string", "pattern": "^(?!ab)[ab]{1,3}$"},
    {"type": "string", "pattern": "^[ab]+$", "maxLength": 2},
    {"enum": ["é", "\"", "\\", "😀", "x1"]},
    {"enum": [None, True, "a", "ab", "aba"]},
    {"anyOf": [LETTERS, {"type": "null"}, {"type": "integer", "minimum": 9, "maximum": 12}]},
    {"oneOf": [{"enum": ["a", "b", "ab"]}, {"enum": ["ab", "ba"]}]},
    {"type": ["boolean", "null"]},
    {"type": "array", "items": FEW, "maxItems": 2},
    {"type": "array", "items": {"enum": ["a", "b", "ab"]}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b", None]}, "maxItems": 3, "contains": {"const": "b"}},
    {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3, "contains": {"const": "b"}, "minContains": 1, "maxContains": 1},
    {"type": "array", "prefixItems": [{"enum": ["a"]}, {"enum": ["b", None]}], "items": False},
    {"type": "array", "prefixItems": [{"enum": ["a"]}], "items": {"enum": ["b"]}, "minItems": 2, "maxItems": 3},
    {"type": "array", "items": FEW, "maxItems": 2, "not": {"items": {"const": "a"}}},
    {**CLOSED, "properties": {"a": FEW}},
    {**CLOSED, "properties": {"a": FEW, "b": {"enum": ["a"]}}, "required": ["b"]},
    {**CLOSED, "properties": {"a": FEW, "b": {"enum": ["a"]}, "c": {"const": "b"}}, "minProperties": 2},
    {**CLOSED, "properties": {"a": {"const": "a"}, "b": {"const": "b"}, "c": {"const": None}}, "maxProperties": 1},
    {**CLOSED, "properties": {"a": {"const": "a"}, "b": {"const": "b"}, "c": {"const": True}}, "dependentRequired": {"a": ["b"]}},
    {**CLOSED, "properties": {"a": FEW, "b": {"const": "b"}}, "dependentSchemas": {"b": {"properties": {"a": {"const": "a"}}}}},
    {**CLOSED, "patternProperties": {"^[ab]$": {"enum": ["a", None]}}},
    {"type": "object", "additionalProperties": {"const": "a"}, "propertyNames": {"enum": ["a", "b", "c"]}},
    {**CLOSED, "properties": {"a": FEW, "b": FEW}, "if": {"properties": {"a": {"const": "a"}}, "required": ["a"]}, "then": {"required": ["b"]}, "else": {"maxProperties": 1}},
    {"oneOf": [{**CLOSED, "properties": {"a": {"const": "a"}}, "required": ["a"]}, {**CLOSED, "properties": {"a": FEW, "b": {"const": "b"}}}]},
    {"anyOf": [{**CLOSED, "properties": {"a": {"const": "a"}, "c": {"const": "b"}}, "required": ["a"]}, {**CLOSED, "properties": {"a": {"const": "b"}, "d": {"const": "b"}}, "required": ["a"]}]},
    {**CLOSED, "properties": {"a": FEW, "b": FEW}, "not": {"required": ["a", "b"]}},
    {**CLOSED, "properties": {"a": {"enum": ["a", "b"]}, "b": {"enum": ["a", "b"]}}, "not": {"properties": {"a": {"const": "a"}}}},
    {"allOf": [{"type": "object", "properties": {"a": FEW}}, {"properties": {"a": {"enum": ["a", "b", 1]}}, "required": ["a"]}], "additionalProperties": False, "properties": {"a": True}},
    {"allOf": [{"type": "object", "properties": {"a": {"const": "a"}}}, {"properties": {"b": {"const": "b"}}}], "unevaluatedProperties": False},
    {"type": "array", "allOf": [{"prefixItems": [{"const": "a"}]}], "anyOf": [{"prefixItems": [True, {"const": "b"}]}, {"maxItems": 1}], "unevaluatedItems": False},
    {**CLOSED, "properties": {"a": {"enum": [{"a": "a"}, ["a"], [], "a"]}}, "required": ["a"]},
    {"enum": [{"a": 1}, {"a": "a", "b": "b"}, ["a", None], "a"]},
    {"type": "array", "items": {"anyOf": [{**CLOSED, "properties": {"a": {"const": "a"}}}, {"const": "b"}]}, "maxItems": 1},
    {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3, "contains": {"minProperties": 1}, "minContains": 1, "maxContains": 1},
    {"type": "array", "items": {"enum": ["a", "b", "ab"]}, "minItems": 2, "maxItems": 3, "contains": {"const": "a"}, "maxContains": 1},
    {"type": "array", "prefixItems": [{"enum": ["a", "b"]}, {"const": "a"}], "items": {"enum": ["a", "b", None]}, "uniqueItems": True, "minItems": 2, "maxItems": 3},
    {"type": "array", "items": {"enum": ["a", "b", None]}, "uniqueItems": True, "contains": {"const": "b"}, "maxItems": 3},
    {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3, "anyOf": [{"uniqueItems": True}, {"prefixItems": [{"const": "a"}]}]},
    {"$ref": "#/$defs/list", "$defs": {"list": {"type": "array", "maxItems": 1, "items": {"anyOf": [{"const": "a"}, {"type": "array", "maxItems": 0}]}}}},
]
MORE = [[[]], [["a"]], [{}], [{"a": "a"}], {"a": {"a": "a"}}, {"a": ["a"]}, {"a": []}, {"a": "a", "b": "b", "c": True}, {"a": "a", "b": "b", "c": None}]


def candidates():
    seen = set()
    for value in [*universe(), *MORE]:
        key = json.dumps(value, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield value
