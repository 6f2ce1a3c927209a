"""Runs the program tokenize_records: see there for the records."""
import os
import pathlib
import struct
import subprocess

BUILD = pathlib.Path(os.environ.get("SMOLLM_BUILD_DIR", pathlib.Path(__file__).parents[2] / "build"))


def run_records(vocabulary, mode, data):
    program = BUILD / "tests" / "tokenizer" / "tokenize_records"
    return subprocess.run([program, vocabulary, mode], input=data, stdout=subprocess.PIPE, check=True).stdout


def encode(vocabulary, texts, spans=None):
    """The ids of each text. spans: for each text a list of (offset, size) in bytes where special tokens may match;
    or True for everywhere, None for nowhere."""
    records = []
    for i, text in enumerate(texts):
        data = text if isinstance(text, bytes) else text.encode()
        pairs = [] if spans is None else [(0, len(data))] if spans is True else spans[i]
        records.append(struct.pack("<I", len(pairs)) + b"".join(struct.pack("<II", *p) for p in pairs))
        records.append(struct.pack("<I", len(data)) + data)
    answer = run_records(vocabulary, "encode", b"".join(records))
    result, at = [], 0
    for _ in texts:
        count, = struct.unpack_from("<I", answer, at)
        result.append(list(struct.unpack_from("<%di" % count, answer, at + 4)))
        at += 4 + 4 * count
    assert at == len(answer)
    return result


def decode(vocabulary, id_lists):
    data = b"".join(struct.pack("<I%di" % len(ids), len(ids), *ids) for ids in id_lists)
    answer = run_records(vocabulary, "decode", data)
    result, at = [], 0
    for _ in id_lists:
        size, = struct.unpack_from("<I", answer, at)
        result.append(answer[at + 4:at + 4 + size])
        at += 4 + size
    assert at == len(answer)
    return result
