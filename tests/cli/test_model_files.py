"""inspect and quantize: what they say and write, and how they fail."""
import json
import os
import resource
import signal
import struct
import subprocess
import time

import numpy as np
import pytest

import gguf_file
from conftest import assert_one_line_error
from make_model import make_model


def read_gguf(path):
    """The test's own reader: metadata {key: (kind, raw bytes)} and tensors {name: (dims, type, bytes)}."""
    data = path.read_bytes()
    magic, version, n_tensors, n_entries = struct.unpack_from("<4sIQQ", data)
    assert magic == b"GGUF" and version == 3
    at = 24
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def take_text():
        nonlocal at
        (size,) = struct.unpack_from("<Q", data, at)
        at += 8 + size
        return data[at - size : at]

    def skip(kind):
        nonlocal at
        if kind == 8:
            take_text()
        elif kind == 9:
            element, count = struct.unpack_from("<IQ", data, at)
            at += 12
            for _ in range(count):
                skip(element)
        else:
            at += sizes[kind]

    metadata, tensors = {}, {}
    for _ in range(n_entries):
        key = take_text().decode()
        (kind,) = struct.unpack_from("<I", data, at)
        at += 4
        start = at
        skip(kind)
        metadata[key] = (kind, data[start:at])
    infos = []
    for _ in range(n_tensors):
        name = take_text().decode()
        (n,) = struct.unpack_from("<I", data, at)
        dims = struct.unpack_from(f"<{n}Q", data, at + 4)
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * n)
        at += 4 + 8 * n + 12
        infos.append((name, dims, kind, offset))
    begin = -(-at // 32) * 32
    names = {number: name for name, (number, *_) in gguf_file.TYPES.items()}
    for name, dims, kind, offset in infos:
        size = gguf_file.tensor_size(names[kind], dims[0], int(np.prod(dims[1:], dtype=np.int64)))
        tensors[name] = (dims, names[kind], data[begin + offset : begin + offset + size])
        assert len(tensors[name][2]) == size
    return metadata, tensors


def decode(kind, data):
    if kind == "F32":
        return np.frombuffer(data, "<f4").astype(np.float64)
    if kind == "F16":
        return np.frombuffer(data, "<f2").astype(np.float64)
    if kind == "BF16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").astype(np.float64)
    blocks = np.frombuffer(data, np.uint8).reshape(-1, gguf_file.TYPES[kind][2])
    d = blocks[:, :2].copy().view("<f2").astype(np.float32)
    if kind == "Q8_0":
        return (d * blocks[:, 2:].view(np.int8).astype(np.float32)).astype(np.float64).ravel()
    codes = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
    return (d * codes).astype(np.float64).ravel()


def reference_error(kind, values):
    """Squared error per block of ggml's reference quantization, on float32 as it computes."""
    x = values.astype(np.float32).reshape(-1, 32)
    largest = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
    d = np.abs(largest) / np.float32(127) if kind == "Q8_0" else largest / np.float32(-8)
    with np.errstate(divide="ignore"):
        inverse = np.where(d == 0, np.float32(0), np.float32(1) / d)
    if kind == "Q8_0":
        scaled = x * inverse
        codes = np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))
    else:
        codes = np.minimum(np.trunc(x * inverse + np.float32(8.5)), 15) - 8
    back = d.astype(np.float16).astype(np.float64) * codes
    return ((x - back) ** 2).sum(axis=1)


# ---- inspect ----


def test_inspect_says_what_is_in_the_file(smollm, model_path):
    text = smollm.run("inspect", model_path, "--ctx-size", 100)
    assert text.returncode == 0 and text.stderr == ""
    for part in ("architecture   llama", "2 layers, hidden 64", "F32     100.0 %", "at a context of 100"):
        assert part in text.stdout, text.stdout
    found = json.loads(smollm.run("inspect", model_path, "--json", "--tensors", "-c", "100").stdout)
    _, tensors = read_gguf(model_path)
    assert found["architecture"] == "llama" and found["layers"] == 2 and found["kv_heads"] == 1
    assert found["parameters"] == sum(int(np.prod(dims)) for dims, _, _ in tensors.values())
    assert found["memory"]["weights"] == sum(len(data) for _, _, data in tensors.values())
    assert found["memory"]["kv_bytes_per_token"] == 2 * 2 * 32 * 2  # layers, keys and values, head, bytes
    assert found["memory"]["kv_cache"] == 100 * found["memory"]["kv_bytes_per_token"]
    assert found["memory"]["total"] == found["memory"]["weights"] + found["memory"]["kv_cache"] + (64 << 20)
    assert [t["name"] for t in found["tensors"]] == list(tensors)
    assert sum(t["share"] for t in found["types"]) == pytest.approx(1, abs=1e-5)
    assert found["chat_template"] == "none"


def test_inspect_finds_the_model(smollm, model_path):
    result = smollm.run("inspect")
    assert_one_line_error(result)
    assert "smollm pull" in result.stderr
    smollm.models.mkdir(parents=True)
    (smollm.models / "one.gguf").write_bytes(model_path.read_bytes())
    for arguments in ((), ("one.gguf",), ("one",)):
        assert smollm.run("inspect", *arguments).returncode == 0
    (smollm.models / "two.gguf").write_bytes(b"x")
    result = smollm.run("inspect")
    assert_one_line_error(result)
    assert "one.gguf, two.gguf" in result.stderr
    result = smollm.run("inspect", "smollm3-3b")
    assert_one_line_error(result)
    assert "get it with: smollm pull smollm3-3b" in result.stderr
    result = smollm.run("inspect", "three")
    assert_one_line_error(result)
    assert "no such file" in result.stderr and "smollm2-135m" in result.stderr


@pytest.mark.parametrize("value", ["-1", "x", "4294967296", ""])
def test_wrong_usage_names_option_and_range(smollm, model_path, value):
    result = smollm.run("inspect", model_path, "--ctx-size", value)
    assert_one_line_error(result, 2)
    assert "--ctx-size" in result.stderr and "from 0 to 16777216" in result.stderr


def test_too_many_arguments_are_told_with_those_there_are(smollm, model_path):
    result = smollm.run("inspect", model_path, "again")
    assert result.returncode == 2 and "'again' is one argument too many ([MODEL])" in result.stderr
    result = smollm.run("selftest", "again")
    assert result.returncode == 2 and "'again' is one argument too many (it takes none)" in result.stderr


def test_hostile_names_do_not_reach_the_terminal(smollm, tmp_path):
    path = tmp_path / "hostile.gguf"
    entries = [gguf_file.entry("general.architecture", gguf_file.STRING, b"\x1b]0;owned\x07\xff\n"),
               gguf_file.entry("general.name", gguf_file.STRING, "a\u0085b\u009b31m")]
    gguf_file.write(path, entries, [("t", (4,), "F32", b"\0" * 16)])
    text = smollm.run("inspect", path, "--tensors").stdout
    assert "\x1b" not in text and "\x07" not in text and "\u009b" not in text and "\\x1b]0;owned\\x07\\xff\\x0a" in text
    json.loads(smollm.run("inspect", path, "--json").stdout)


def test_absurd_shapes_are_no_arithmetic(smollm, tmp_path):
    path = tmp_path / "absurd.gguf"
    big = 2**32 - 1
    entries = gguf_file.model_entries("llama", "absurd", layers=big, hidden=big, ffn=big, heads=1, kv_heads=big,
                                      head_dim=big, vocabulary=big, context=big, rope_base=1e4, key_length=True)
    gguf_file.write(path, entries, [("t", (4,), "F32", b"\0" * 16)])
    result = smollm.run("inspect", path)
    assert result.returncode == 0 and "not known" in result.stdout
    assert json.loads(smollm.run("inspect", path, "--json").stdout)["memory"] is None


# ---- quantize ----


@pytest.mark.parametrize("source", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
def test_quantize_is_no_worse_than_the_reference(smollm, tmp_path, source, kind):
    before, after = tmp_path / "in.gguf", tmp_path / "out.gguf"
    make_model(before, arch="llama", type=source, hidden=64, ffn=96, layers=2, heads=2, kv_heads=1, vocab=352, seed=7)
    result = smollm.run("quantize", before, after, kind.lower())
    assert result.returncode == 0, result.stderr
    old_metadata, old = read_gguf(before)
    metadata, new = read_gguf(after)
    assert struct.unpack("<I", metadata.pop("general.file_type")[1])[0] == {"F16": 1, "Q8_0": 7, "Q4_0": 2}[kind]
    assert struct.unpack("<I", metadata.pop("general.quantization_version")[1])[0] == 2
    assert metadata == old_metadata and list(new) == list(old)
    ours = reference = 0
    for name, (dims, old_type, old_data) in old.items():
        assert new[name][0] == dims
        if len(dims) == 1:
            assert new[name][1:] == (old_type, old_data)
            continue
        expected = "Q8_0" if kind == "Q4_0" and name == "token_embd.weight" else kind
        assert new[name][1] == expected
        values, back = decode(old_type, old_data), decode(new[name][1], new[name][2])
        if kind == "F16":
            assert np.array_equal(back, values.astype(np.float16))
            continue
        errors = ((values - back) ** 2).reshape(-1, 32).sum(axis=1)
        limits = reference_error(expected, values)
        assert (errors <= limits * (1 + 1e-6)).all()
        if expected == kind:
            ours, reference = ours + errors.sum(), reference + limits.sum()
    if kind != "F16":
        print(f"{kind}: {np.sqrt(ours / reference):.4f} of the reference's error")
        assert ours <= reference


def test_rows_that_are_no_blocks_become_f16(smollm, tmp_path):
    before, after = tmp_path / "in.gguf", tmp_path / "out.gguf"
    weights = np.arange(40 * 3, dtype="<f4")
    gguf_file.write(before, [], [("w", (40, 3), "F32", weights.tobytes()), ("v", (40, 3), "F32", weights.tobytes())])
    assert smollm.run("quantize", before, after, "Q8_0").returncode == 0
    _, new = read_gguf(after)
    assert new["w"][1] == "F16" and np.array_equal(decode("F16", new["w"][2]), weights)


def test_quantize_refuses(smollm, tmp_path, model_path):
    out = tmp_path / "out.gguf"
    packed = tmp_path / "packed.gguf"
    make_model(packed, arch="llama", type="Q4_K", layers=1)
    cases = [((model_path, model_path, "Q8_0"), 1, "are the same file"), ((packed, out, "Q8_0"), 1, "is Q4_K already"),
             ((model_path, out, "Q4_K"), 2, "allowed are F16, Q8_0 and Q4_0"), ((model_path, out), 2, "IN OUT TYPE"),
             ((tmp_path / "absent", out, "F16"), 1, "No such file"), ((model_path, tmp_path, "F16"), 1, ""),
             ((model_path, tmp_path / "no" / "out.gguf", "F16"), 1, "No such file")]
    link = tmp_path / "link.gguf"
    link.symlink_to(model_path)
    cases.append(((model_path, link, "F16"), 1, "are the same file"))
    whole = model_path.read_bytes()
    for arguments, code, part in cases:
        result = smollm.run("quantize", *arguments)
        assert_one_line_error(result, code)
        assert part in result.stderr, result.stderr
    assert model_path.read_bytes() == whole
    bad = tmp_path / "nan.gguf"
    gguf_file.write(bad, [], [("w", (32, 2), "F32", np.array([np.nan] * 64, "<f4").tobytes())])
    result = smollm.run("quantize", bad, out, "Q4_0")
    assert_one_line_error(result)
    assert "tensor w holds a value that is not finite" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.gguf", "nan.gguf", "packed.gguf"]


def test_a_full_disk_leaves_nothing(smollm, tmp_path, model_path):
    out = tmp_path / "out.gguf"
    out.write_bytes(b"what was there before")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    result = smollm.run("quantize", model_path, out, "F16", preexec_fn=limit)
    assert_one_line_error(result)
    assert "File too large" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["out.gguf"]
    assert out.read_bytes() == b"what was there before"


def test_an_interruption_leaves_nothing(smollm, tmp_path):
    before = tmp_path / "in.gguf"
    size = 1 << 26
    gguf_file.write(before, [], [("w", (1 << 13, size >> 13), "F16", b"\x11\x25" * size)])
    process = smollm.start("quantize", before, tmp_path / "out.gguf", "Q4_0")
    while not any(".part-" in p.name for p in tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert [p.name for p in tmp_path.iterdir()] == ["in.gguf"]


# ---- mutated files ----


def header_size(data):
    """Up to the end of the tensor descriptions; the last one is token's own: found by its name."""
    last = data.rindex(b"ffn_down.weight")
    return last + len(b"ffn_down.weight") + 4 + 16 + 12


def test_mutated_files_end_in_one_line(smollm, tmp_path, model_path):
    """A sample through the whole program; tests/gguf/mutate.c tries all of them in one process. MUTATIONS: how many."""
    count = int(os.environ.get("MUTATIONS", "200"))
    whole = model_path.read_bytes()
    header = header_size(whole)
    rng = np.random.default_rng(5)
    integers = [0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]
    path = tmp_path / "mutated.gguf"
    failed = 0
    for number in range(count):
        data = bytearray(whole)
        at = int(rng.integers(0, header))
        if number % 4 == 0:
            del data[at:]
        elif number % 4 == 1:
            data[at : at + 8] = struct.pack("<Q", integers[number // 4 % 6])
        elif number % 4 == 2:
            data[at : at + 4] = struct.pack("<I", integers[number // 4 % 6] & 0xFFFFFFFF)
        else:
            for k in range(4):
                data[int(rng.integers(0, header))] = int(rng.integers(0, 256))
        path.write_bytes(data)
        result = smollm.run("inspect", path, "--tensors", timeout=20)
        assert result.returncode in (0, 1), (number, result)
        if result.returncode == 1:
            assert_one_line_error(result)
            failed += 1
    assert failed > count // 3
