#!/usr/bin/env python3
"""Writes goldens.json: which of the candidates each finite schema allows, as PyPI `jsonschema` 4.26.0 says.

usage: make_goldens.py       (in an environment with jsonschema)
"""
import json
import pathlib

import jsonschema
from finite_schemas import SCHEMAS, candidates

values = list(candidates())
goldens = []
for schema in SCHEMAS:
    validator = jsonschema.Draft202012Validator(schema)
    valid = [value for value in values if validator.is_valid(value)]
    assert 2 <= len(valid) <= 400, (schema, len(valid))
    goldens.append({"schema": schema, "valid": valid})
path = pathlib.Path(__file__).with_name("goldens.json")
path.write_text("[\n" + ",\n".join(json.dumps(g, ensure_ascii=False) for g in goldens) + "\n]\n")
print(len(goldens), "schemas,", sum(len(g["valid"]) for g in goldens), "values")
