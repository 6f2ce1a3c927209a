"""A slow recognizer of the texts of a few JSON values, written apart from the grammar's code.

Texts may have one space after each colon and comma, members in any order, and each character of a string in any of its
spellings. A state is the set of places in all texts where a prefix can be.
"""
import itertools
import json

SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
SPACE = ("space",)


def spellings(character):
    units = character.encode("utf-16-be")
    escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)).encode()
    plain = [] if character in '"\\' or character < " " else [character.encode()]
    short = [SHORT[character].encode()] if character in SHORT else []
    # Letters, digits and most other characters of ASCII are not written as \uXXXX.
    return (*plain, *short, escaped) if not " " <= character <= "~" or character in "\"&'+/<=>\\`" else (*plain, *short)


def units_of_string(text):
    return [(b'"',), *(spellings(c) for c in text), (b'"',)]


def units(value):
    """Every order of members gives a list of units: the spellings of a character, or an optional space."""
    if isinstance(value, str):
        yield units_of_string(value)
    elif isinstance(value, list):
        for parts in itertools.product(*(list(units(v)) for v in value)):
            out = [(b"[",)]
            for i, part in enumerate(parts):
                out += ([(b",",), SPACE] if i else []) + part
            yield [*out, (b"]",)]
    elif isinstance(value, dict):
        for names in itertools.permutations(value):
            for parts in itertools.product(*(list(units(value[name])) for name in names)):
                out = [(b"{",)]
                for i, (name, part) in enumerate(zip(names, parts)):
                    out += ([(b",",), SPACE] if i else []) + units_of_string(name) + [(b":",), SPACE] + part
                yield [*out, (b"}",)]
    else:
        yield [(bytes([byte]),) for byte in json.dumps(value).encode()]


class Recognizer:
    """States are frozensets of (text, unit, bytes of the unit so far)."""

    def __init__(self, values):
        self.texts = [u for value in values for u in units(value)]
        self.start = self.close((t, 0, b"") for t in range(len(self.texts)))

    def close(self, places):
        """Optional spaces may be passed over."""
        out = set()
        for text, unit, part in places:
            out.add((text, unit, part))
            while unit < len(self.texts[text]) and self.texts[text][unit] == SPACE:
                unit += 1
                out.add((text, unit, b""))
        return frozenset(out)

    def step(self, state, byte):
        out = set()
        for text, unit, part in state:
            if unit == len(self.texts[text]):
                continue
            forms = (b" ",) if self.texts[text][unit] == SPACE else self.texts[text][unit]
            now = part + bytes([byte])
            if now.startswith(b"\\u") and byte != ord("U"):
                now = now.lower()  # digits in either case
            for form in forms:
                if form == now:
                    out.add((text, unit + 1, b""))
                elif form.startswith(now):
                    out.add((text, unit, now))
        return self.close(out)

    def accepts(self, state):
        return any(unit == len(self.texts[text]) for text, unit, _ in state)


def make_tree(tokens):
    """{byte: (ids of tokens that end there, subtree)}"""
    root = {}
    for token, data in tokens.items():
        node, ids = root, None
        for byte in data:
            ids, child = node.setdefault(byte, ([], {}))
            node = child
        ids.append(token)
    return root


def allowed(recognizer, state, tree):
    found, todo = [], [(state, tree)]
    while todo:
        at, node = todo.pop()
        for byte, (ids, child) in node.items():
            after = recognizer.step(at, byte)
            if after:
                found += ids
                if child:
                    todo.append((after, child))
    return sorted(found)


def hash_of(ids):
    """64-bit FNV-1a over the ids, each as four bytes, little-endian."""
    value = 0xCBF29CE484222325
    for token in ids:
        for byte in token.to_bytes(4, "little"):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
