"""Model files as other programs write them, and what people have in place of one."""
import json
import shutil

import pytest

import gguf_file
import conftest
from make_model import make_model


def assert_one_line_error(result):
    conftest.assert_one_line_error(result)
    return result.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "whole.gguf"
    make_model(path, arch="llama", type="Q8_0")
    return path


def logprobs(smollm, path):
    text = path.parent / "text"
    text.write_text("the quick brown fox jumps over the lazy dog")
    result = smollm.run("perplexity", path, text, "--per-token", "--json")
    assert result.returncode == 0, result.stderr
    return result.stdout


# ---- Models in several files ----

@pytest.mark.parametrize("count", [2, 3, 7])
def test_split_files_are_read_from_the_first(smollm, model, tmp_path, count):
    whole = tmp_path / "whole.gguf"
    shutil.copy(model, whole)
    paths = gguf_file.split(whole, count)
    assert logprobs(smollm, paths[0]) == logprobs(smollm, whole)
    shown = json.loads(smollm.run("inspect", paths[0], "--json").stdout)
    assert shown["file_bytes"] == sum(path.stat().st_size for path in paths)


def test_another_part_names_the_first(smollm, model, tmp_path):
    whole = tmp_path / "whole.gguf"
    shutil.copy(model, whole)
    paths = gguf_file.split(whole, 3)
    for part in (1, 2):
        for command in (["run", paths[part], "x"], ["inspect", paths[part]], ["serve", paths[part], "--port", "0"]):
            message = assert_one_line_error(smollm.run(*command))
            assert f"part {part + 1} of 3" in message and "model-00001-of-00003.gguf" in message
    paths[1].unlink()
    assert "model-00002-of-00003.gguf" in assert_one_line_error(smollm.run("run", paths[0], "x"))
    shutil.copy(paths[2], paths[1])
    assert "it says that it is part 3 of 3" in assert_one_line_error(smollm.run("run", paths[0], "x"))
    renamed = tmp_path / "renamed.gguf"
    paths[0].rename(renamed)
    assert "-00001-of-00003.gguf" in assert_one_line_error(smollm.run("run", renamed, "x"))


def test_parts_of_different_models(smollm, model, tmp_path):
    whole = tmp_path / "whole.gguf"
    shutil.copy(model, whole)
    paths = gguf_file.split(whole, 2)
    other = tmp_path / "other"
    other.mkdir()
    make_model(other / "whole.gguf", arch="llama", type="Q8_0", layers=7)
    theirs = gguf_file.split(other / "whole.gguf", 2)
    shutil.copy(theirs[1], paths[1])
    assert_one_line_error(smollm.run("run", paths[0], "x"))


# ---- Metadata as llama.cpp understands it ----

def with_entries(model, path, *added, without=()):
    data = model.read_bytes()
    entries, tensors, begin = gguf_file.read_header(data)
    kept = [e for e in entries if not any(e[8:].startswith(key.encode()) for key in without)]
    gguf_file.write(path, kept + list(added), [(name.decode(), dims, kind, data[begin + at : begin + at + size])
                                               for name, dims, kind, at, size in tensors])
    return path


def test_linear_rope_scaling_under_all_its_names(smollm, model, tmp_path):
    F32, STRING = gguf_file.F32_VALUE, gguf_file.STRING
    plain = logprobs(smollm, model)
    new = logprobs(smollm, with_entries(model, tmp_path / "new.gguf", gguf_file.entry("llama.rope.scaling.type", STRING, "linear"),
                                        gguf_file.entry("llama.rope.scaling.factor", F32, 4.0)))
    assert new != plain
    for name, entries in (("old", [("llama.rope.scale_linear", F32, 4.0)]), ("typeless", [("llama.rope.scaling.factor", F32, 4.0)])):
        path = with_entries(model, tmp_path / f"{name}.gguf", *(gguf_file.entry(*e) for e in entries))
        assert logprobs(smollm, path) == new, name
    for name, entries in (("none", [("llama.rope.scaling.type", STRING, "none"), ("llama.rope.scaling.factor", F32, 0.0)]),
                          ("zero", [("llama.rope.scale_linear", F32, 0.0)]),
                          ("off", [("llama.rope.scaling.type", STRING, "none"), ("llama.rope.scaling.factor", F32, 4.0)])):
        path = with_entries(model, tmp_path / f"{name}.gguf", *(gguf_file.entry(*e) for e in entries))
        assert logprobs(smollm, path) == plain, name


def test_yarn_needs_a_base(smollm, model, tmp_path):
    path = with_entries(model, tmp_path / "base.gguf", gguf_file.entry("llama.rope.freq_base", gguf_file.F32_VALUE, 1.0),
                        without=["llama.rope.freq_base"])
    assert "freq_base is 1" in assert_one_line_error(smollm.run("run", path, "x", "--rope-scaling", "yarn"))
    assert smollm.run("run", path, "x", "-n", "1", "--raw").returncode == 0
    for base in (1.0000001, 1.001):
        path = with_entries(model, tmp_path / "base.gguf", gguf_file.entry("llama.rope.freq_base", gguf_file.F32_VALUE, base),
                            without=["llama.rope.freq_base"])
        assert smollm.run("run", path, "x", "-n", "1", "--raw", "--rope-scaling", "yarn").returncode == 0


def test_pre_tokenizers_by_other_names(smollm, model, tmp_path):
    ids = {}
    for name in ("llama-bpe", "llama3", "llama-v3"):
        path = with_entries(model, tmp_path / f"{name}.gguf", gguf_file.entry("tokenizer.ggml.pre", gguf_file.STRING, name),
                            without=["tokenizer.ggml.pre"])
        ids[name] = smollm.run("tokenize", path, "Hello 12345 world's").stdout
    assert len(set(ids.values())) == 1
    # Those whose words would be cut in another way are refused by name, not guessed.
    for entries, words in (([], "names no pre-tokenizer"), (["default"], "'default'"), (["deepseek-llm"], "'deepseek-llm'")):
        path = with_entries(model, tmp_path / "other.gguf", *(gguf_file.entry("tokenizer.ggml.pre", gguf_file.STRING, e) for e in entries),
                            without=["tokenizer.ggml.pre"])
        message = assert_one_line_error(smollm.run("tokenize", path, "x"))
        assert words in message and "llama-bpe" in message


def test_merges_of_unknown_tokens_are_passed_over(smollm, model, tmp_path):
    data = model.read_bytes()
    merges = next(e for e in gguf_file.read_header(data)[0] if e[8:].startswith(b"tokenizer.ggml.merges"))
    known, at = [], 8 + len("tokenizer.ggml.merges") + 4 + 12
    while at < len(merges):
        size = int.from_bytes(merges[at : at + 8], "little")
        known.append(merges[at + 8 : at + 8 + size])
        at += 8 + size
    added = [b"t xyzzy", "\U0001f99c a".encode(), *known, b"q qq"]
    path = with_entries(model, tmp_path / "more.gguf", gguf_file.entry("tokenizer.ggml.merges", gguf_file.ARRAY, (gguf_file.STRING, added)),
                        without=["tokenizer.ggml.merges"])
    text = "the quick brown fox: there and then, 12 t xyzzy"
    assert smollm.run("tokenize", path, text).stdout == smollm.run("tokenize", model, text).stdout != ""


# ---- What is not a model ----

@pytest.mark.parametrize("content, words", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 98\n", "Git LFS pointer"),
    (b"<!DOCTYPE html><html><head>", "web page"), (b"\n  <html>", "web page"), (b"<?xml version='1.0'?><Error>", "web page"),
    (b"", "0 bytes"), (b"GG", "2 bytes"), (b"PK\x03\x04zip", "50 4b 03 04"), (b"ve", "2 bytes"),
])
def test_what_is_not_a_model_is_named(smollm, tmp_path, content, words):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    for command in (["run", path, "x"], ["inspect", path], ["tokenize", path, "x"], ["bench", path], ["quantize", path, tmp_path / "out", "Q8_0"]):
        message = assert_one_line_error(smollm.run(*command))
        assert words in message or ("bytes" in words and "ends" in message), message
