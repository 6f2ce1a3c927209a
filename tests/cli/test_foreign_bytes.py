"""Class 13: bytes from a file, a name or an argument reach a terminal, a log or JSON only as printable UTF-8."""
import json
import os
import re
import struct
import subprocess
import unicodedata

import pytest

from terminal import Terminal

HOSTILE = b"\x1b]0;owned\x07a\xc2\x9b31m\xff\xe2\x80\xaeb\xe2\x81\xa6\rc"
SHOWN = "\\x1b]0;owned\\x07a\\x9b31m\\xff\\u202eb\\u2066\\x0dc"


@pytest.fixture(scope="module")
def hostile_path(parrot_path, tmp_path_factory):
    """The parrot with a hostile general.name, template and file name; tokens and tensors keep theirs."""
    data = parrot_path.read_bytes()
    folder = tmp_path_factory.mktemp("models")
    size = len(HOSTILE)
    old = struct.pack("<Q", 6) + b"parrot"
    assert data.count(old) == 1
    at = data.index(old)
    grown = data[:at] + struct.pack("<Q", size) + HOSTILE + data[at + len(old):]
    path = folder / "hostile.gguf"
    path.write_bytes(realign(data, grown))
    return path


def realign(old, grown):
    """The tensor data of `old` at an aligned place behind the longer header of `grown`."""
    count, = struct.unpack_from("<Q", old, 8)
    at = old.index(struct.pack("<Q", 17) + b"token_embd.weight")
    # Descriptions of tensors: name, dimensions, type, offset; the last one ends the header.
    for _ in range(count):
        name, = struct.unpack_from("<Q", old, at)
        dims, = struct.unpack_from("<I", old, at + 8 + name)
        at += 8 + name + 4 + 8 * dims + 4 + 8
    header = at + len(grown) - len(old)
    data = -(-at // 32) * 32
    return grown[:header] + bytes(-header % 32) + old[data:]


def assert_clean(data, lines=True):
    text = data.decode() if isinstance(data, bytes) else data
    for c in text:
        assert (lines and c in "\r\n\t") or (unicodedata.category(c) != "Cc" and c not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), (c, text)


def test_inspect(smollm, hostile_path):
    for options in ([], ["--tensors"], ["--json"], ["--json", "--tensors"]):
        result = subprocess.run([smollm.path, "inspect", hostile_path, *options], capture_output=True, env=smollm.environment)
        assert result.returncode == 0, result.stderr
        assert_clean(result.stdout)
        if "--json" in options:
            assert json.loads(result.stdout)["name"] == SHOWN
        else:
            assert SHOWN in result.stdout.decode()


def test_chat_greets(smollm, hostile_path):
    with Terminal(smollm.path, "chat", hostile_path, "-t", 1, env={**smollm.environment, "TERM": "xterm", "NO_COLOR": "1"}) as terminal:
        terminal.wait_for("can be typed")
        assert SHOWN.encode() in terminal.seen
        greeting = terminal.seen.split(b"\r\x1b[K")[-1].split(b"\r\n")[0]
        assert_clean(greeting)
        terminal.send(b"/\x16\x1bclear\r")
        terminal.send("\x04")


def test_serve_says_its_address(smollm, hostile_path):
    process = subprocess.Popen([smollm.path, "serve", hostile_path, "-t", "1", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=smollm.environment)
    line = process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert SHOWN.encode() in line
    assert_clean(line)
    assert_clean(errors)


@pytest.mark.parametrize("command", ["serve", "chat", "run", "inspect", "quantize", "tokenize", "perplexity", "constrain", "bench", "decide", "calibrate", "pull", HOSTILE])
def test_errors_name_files_and_arguments(smollm, tmp_path, command):
    """A file of that name which is no model, and an argument, an option and a value of that kind."""
    path = os.fsencode(tmp_path) + b"/" + HOSTILE.replace(b"/", b"") + b".gguf"
    with open(path, "wb") as file:
        file.write(b"GGUF\3\0\0\0" + HOSTILE * 20)
    rest = {"run": ["x"], "quantize": [tmp_path / "out", "F16"], "tokenize": ["x"], "perplexity": [path], "constrain": ["--jsonl"], "decide": ["x"], "calibrate": [path]}.get(command, [])
    for arguments in ([path, *rest], [b"--" + HOSTILE, path], [path, *rest, b"again", HOSTILE, HOSTILE, HOSTILE], [b"--threads=" + HOSTILE],
                      [HOSTILE, *rest], [b"--seed", HOSTILE], [path, b"out", HOSTILE], [b"http://" + HOSTILE]):
        result = subprocess.run([smollm.path, command, *arguments], capture_output=True, stdin=subprocess.DEVNULL, env=smollm.environment, timeout=20)
        assert result.returncode in (1, 2), (arguments, result)
        assert_clean(result.stderr.rstrip(b"\n"), lines=False)
        assert b"smollm" in result.stderr


def test_variables_and_the_config_file(smollm, tmp_path):
    config = tmp_path / "config"
    for environment, text in (({"SMOLLM_TEMP": HOSTILE}, b""), ({}, HOSTILE + b" = 1"), ({}, b"temp = " + HOSTILE.replace(b"\r", b"")),
                              ({b"SMOLLM_CONFIG": os.fsencode(tmp_path) + b"/" + HOSTILE.replace(b"/", b"")}, b"")):
        config.write_bytes(text)
        env = {os.fsencode(k): os.fsencode(v) for k, v in {**smollm.environment, "SMOLLM_CONFIG": str(config)}.items()}
        env |= {os.fsencode(k): v for k, v in environment.items()}
        result = subprocess.run([smollm.path, "run", "x"], capture_output=True, stdin=subprocess.DEVNULL, env=env)
        assert result.returncode == 2, result
        assert_clean(result.stderr.rstrip(b"\n"), lines=False)


def test_pieces_of_tokens(smollm, hostile_path):
    """The parrot's vocabulary begins with the 256 bytes."""
    result = subprocess.run([smollm.path, "tokenize", hostile_path, "--pieces"], input=HOSTILE + b"\\", capture_output=True, env=smollm.environment)
    assert result.returncode == 0
    assert_clean(result.stdout)
    shown = "".join(re.findall(r"\t(.*)\n", result.stdout.decode()))
    assert re.sub(r"\\x(..)", lambda m: chr(int(m[1], 16)), shown).encode("latin-1") == HOSTILE + b"\\"


def test_a_model_that_speaks_in_controls(smollm, tmp_path):
    from parrot_model import make_parrot

    path = tmp_path / "speaks.gguf"
    make_parrot(path, ["a\x1b[31m", "b\u009b", "c\x07", "d\u202e ", "e"])
    for command in (["run", path, "x", "-t", 1], ["chat", path, "-t", 1]):
        with Terminal(smollm.path, *command, env={**smollm.environment, "TERM": "xterm"}) as terminal:
            if command[0] == "chat":
                terminal.wait_for("> ")
                terminal.send("x\r")
            else:
                terminal.send("\x04")
            terminal.wait_for(r"a\\x1b\[31mb\\x9bc\\x07d\\u202e e")
    raw = subprocess.run([smollm.path, "run", path, "x", "-t", "1"], capture_output=True, stdin=subprocess.DEVNULL, env=smollm.environment).stdout
    assert raw == "a\x1b[31mb\u009bc\x07d\u202e e\n".encode()  # into a pipe a result goes as it is
