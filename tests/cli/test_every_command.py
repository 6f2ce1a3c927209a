"""Every command in every situation that it can be in, as one table without exceptions.

A row of COMMANDS is a command line that ends by itself; PHASES says where a command can be when a signal comes. A new command
fails the last test until it has its rows."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from terminal import PATIENCE, Terminal

FULL = "smollm: cannot write to the standard output: No space left on device\n"


class Row:
    """arguments of a command; what it takes from stdin; whether it prints a result."""

    def __init__(self, *arguments, given="", prints=True):
        self.arguments, self.given, self.prints = arguments, given, prints

    def __repr__(self):
        return " ".join(map(str, self.arguments[:1])) + ("" if len(self.arguments) != 2 else " " + str(self.arguments[1]))


# MODEL, TEXT and OUT stand for a model, a file of text and a file to write.
COMMANDS = [
    Row("--help"), Row("help"), Row("--version"), Row("version"), Row("--man-page"), Row("--completion"),
    *(Row(name, "--help") for name in ("serve", "chat", "run", "pull", "inspect", "quantize", "tokenize", "perplexity", "constrain", "bench",
                                       "selftest", "decide", "calibrate")),
    Row("run", "MODEL", "x", "-t", 1), Row("run", "MODEL", "x", "--json", "-t", 1), Row("chat", "MODEL", "-t", 1, given="x\n"),
    Row("pull", "smollm3-3b"), Row("inspect", "MODEL"), Row("inspect", "MODEL", "--json", "--tensors"),
    Row("quantize", "MODEL", "OUT", "Q8_0", prints=False), Row("tokenize", "MODEL", "x"), Row("tokenize", "MODEL", given="x"),
    Row("tokenize", "MODEL", "--jsonl", given='"x"\n"y"\n'), Row("perplexity", "MODEL", "TEXT", "-t", 1),
    Row("constrain", "MODEL", "--jsonl", "--trace", given='{"choice": ["a", "b"], "instances": ["a", "c"]}\n{"regex": "("}\n'),
    Row("decide", "MODEL", "x", "-q", "y", "-t", 1), Row("decide", "MODEL", "x", "-q", "y", "--levels", "a,b", "--json", "-t", 1),
    Row("calibrate", "MODEL", "EXAMPLES", "-t", 1),
    Row("run", "MODEL", "x", "--choice", "Gr,no", "--no-think", "-t", 1),
    Row("perplexity", "MODEL", "TEXT", "--per-token", "--json", "-t", 1), Row("bench", "MODEL", "-p", 4, "-n", 2, "-r", 1, "-t", 1),
    Row("bench", "MODEL", "-p", 4, "-n", 2, "-r", 1, "-t", 1, "--json"), Row("selftest", "--cpu", "generic"),
]
ids = [" ".join(map(str, row.arguments)) for row in COMMANDS]
every_command = pytest.mark.parametrize("row", COMMANDS, ids=ids)


@pytest.fixture
def fill(smollm, parrot_path, tmp_path):
    """The command line of a row."""
    smollm.models.mkdir(parents=True)
    (smollm.models / "SmolLM3-Q4_K_M.gguf").symlink_to(parrot_path)
    (tmp_path / "text").write_text("All parrots say things.")
    (tmp_path / "examples").write_text('{"text": "x", "question": "y", "answer": true}\n')
    places = {"MODEL": parrot_path, "TEXT": tmp_path / "text", "OUT": tmp_path / "out.gguf", "EXAMPLES": tmp_path / "examples"}
    return lambda row: [smollm.path, *(str(places.get(a, a)) for a in row.arguments)]


def redirect(smollm, command, redirection, given):
    """Under a shell that closes or opens descriptors first."""
    return subprocess.run(["bash", "-c", f'exec "$@" {redirection}', "bash", *command], capture_output=True, text=True, timeout=60 * PATIENCE,
                          env=smollm.environment, **({"stdin": subprocess.DEVNULL} if given is None else {"input": given}))


@every_command
def test_closed_descriptors(smollm, fill, row):
    command = fill(row)
    normal = redirect(smollm, command, "", row.given)
    assert normal.returncode == 0, normal.stderr
    assert bool(normal.stdout) == row.prints
    without_input = redirect(smollm, command, "<&-", None)
    assert without_input.returncode == 0, without_input.stderr
    assert without_input.stdout == redirect(smollm, command, "</dev/null", None).stdout or row.arguments[0] in ("run", "bench")
    assert redirect(smollm, command, "2>&-", row.given).returncode == 0
    without_output = redirect(smollm, command, ">&-", row.given)
    assert without_output.returncode == int(row.prints), without_output.stderr
    assert ("cannot write to the standard output: Bad file descriptor" in without_output.stderr) == row.prints
    assert redirect(smollm, command, ">&- 2>&-", row.given).returncode == int(row.prints)


@every_command
def test_a_full_disk(smollm, fill, row):
    result = redirect(smollm, fill(row), ">/dev/full", row.given)
    assert result.returncode == int(row.prints) and (FULL in result.stderr) == row.prints, result


@every_command
def test_a_reader_that_is_gone(smollm, fill, row):
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(fill(row), input=row.given.encode(), stdout=write, stderr=subprocess.PIPE, env=smollm.environment, timeout=60 * PATIENCE)
    os.close(write)
    assert result.returncode == int(row.prints) and b"cannot write" not in result.stderr, result


@every_command
def test_variables(smollm, fill, row):
    """Empty, of Kubernetes, and wrong ones: the last matter where the command has the option, and then by their name."""
    command = fill(row)
    options = set() if row.arguments[0] in ("help", "version") or row.arguments[0].startswith("--") else set(re.findall(r"^ .*?--([a-z-]+)", subprocess.run([smollm.path, row.arguments[0], "--help"], capture_output=True, text=True).stdout, re.M))
    kubernetes = {"SMOLLM_PORT": "tcp://10.0.0.7:80", "SMOLLM_SERVICE_HOST": "10.0.0.7", "SMOLLM_PORT_80_TCP": "tcp://10.0.0.7:80"}
    empty = {"SMOLLM_" + name.upper().replace("-", "_"): "" for name in options | {"model", "config"}}
    result = subprocess.run(command, input=row.given, capture_output=True, text=True, env={**smollm.environment, **empty, **kubernetes})
    assert result.returncode == 0, result.stderr
    given = {"threads": "-t", "predict": "-n"}
    for name in {"threads", "json", "cpu", "seed"} & options:
        wrong = {"SMOLLM_" + name.upper(): "wrong"}
        result = subprocess.run(command, input=row.given, capture_output=True, text=True, env={**smollm.environment, **wrong})
        overridden = given.get(name) in command or "--" + name in command or "--help" in command
        assert result.returncode == (0 if overridden else 2), (name, result)
        assert overridden or (f"SMOLLM_{name.upper()}" in result.stderr and "'wrong'" in result.stderr)


@every_command
def test_config_file(smollm, fill, row, tmp_path):
    config = tmp_path / "config"
    config.write_bytes(b"\xef\xbb\xbf; a file of Windows\r\nmodel = \"nowhere.gguf\"  # not used\r\nlog-format = 'json'\r\nno-ui = OFF\r\nseed = 5 # five\r\n\r\n")
    result = subprocess.run(fill(row), input=row.given, capture_output=True, text=True, env={**smollm.environment, "SMOLLM_CONFIG": str(config)})
    assert result.returncode == 0, result.stderr


# ---- Signals ----

def exit_code(number):
    return 128 + number


def ends_at_once(process, number, seconds=2):
    begin = time.monotonic()
    process.send_signal(number)
    try:
        output, errors = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == exit_code(number), (process.returncode, errors)
    assert time.monotonic() - begin < seconds * PATIENCE
    return output


SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@SIGNALS
@pytest.mark.parametrize("arguments", [["run", "MODEL", "x"], ["run", "MODEL"], ["chat", "MODEL"], ["tokenize", "MODEL"], ["tokenize", "MODEL", "--jsonl"],
                                       ["constrain", "MODEL", "--jsonl"], ["decide", "MODEL", "-q", "x"], ["calibrate", "MODEL", "-"],
                                       ["perplexity", "MODEL", "-"]], ids=" ".join)
def test_signals_while_stdin_is_awaited(smollm, fill, arguments, number):
    process = subprocess.Popen(fill(Row(*arguments)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=smollm.environment)
    time.sleep(0.3)
    assert process.poll() is None
    process.stdin, pipe = None, process.stdin  # stays open
    assert ends_at_once(process, number) == b""
    pipe.close()


@SIGNALS
@pytest.mark.parametrize("command", ["run", "chat", "serve", "decide"])
def test_signals_while_the_model_is_loaded(smollm, slow_path, command, number):
    extra = {"run": ["x"], "serve": ["--port", "0"], "decide": ["x", "-q", "y"]}.get(command, [])
    with Terminal(smollm.path, command, slow_path, *extra, "-t", 1, env={**smollm.environment, "TERM": "xterm"}) as terminal:
        terminal.wait_for(r"loading \[")
        os.kill(terminal.process.pid, number)
        # A service that is told to stop has done so, whatever it was at.
        assert terminal.wait_end(2 * PATIENCE) == (0 if command == "serve" else exit_code(number))


@SIGNALS
@pytest.mark.parametrize("command", ["run", "chat"])
def test_signals_while_a_prompt_is_read(smollm, slow_path, command, number):
    """A Ctrl-C in a chat ends the answer only."""
    text = "some words to read " * 1500
    extra = [text] if command == "run" else []
    with Terminal(smollm.path, command, slow_path, *extra, "-t", 1, "-c", 8000, env={**smollm.environment, "TERM": "xterm"}) as terminal:
        if command == "chat":
            terminal.wait_for("> ")
            terminal.send("\x1b[200~" + text + "\x1b[201~\r")
        terminal.wait_for(r"reading \[", 30)
        os.kill(terminal.process.pid, number)
        if command == "chat" and number == signal.SIGINT:
            terminal.wait_for("0 tokens, stopped", 2 * PATIENCE)
            terminal.wait_for("> ")
            terminal.send("\x04")
            assert terminal.wait_end() == 0
        else:
            assert terminal.wait_end(2 * PATIENCE) == exit_code(number)


@SIGNALS
@pytest.mark.parametrize("command", ["run", "run --json", "chat"])
def test_signals_while_an_answer_is_made(smollm, endless_path, command, number):
    name, *options = command.split()
    process = subprocess.Popen([smollm.path, name, endless_path, *options, *(["x"] if name == "run" else []), "-t", "1", "-c", "240000"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=smollm.environment)
    process.stdin.write(b"x\n")
    process.stdin.flush()
    process.stdin, pipe = (None, process.stdin)
    if name == "run":
        pipe.close()
    if options:
        time.sleep(0.5)
    else:
        assert process.stdout.read(5)
    output = ends_at_once(process, number)
    assert not options or b'"finish_reason":"cancelled"' in output


@SIGNALS
@pytest.mark.parametrize("arguments", [["bench", "SLOW", "-p", "4000"], ["perplexity", "SLOW", "LONG"], ["perplexity", "SLOW", "LONG", "--reference"],
                                       ["selftest"], ["tokenize", "SLOW", "HUGE"]], ids=lambda a: " ".join(a[:4]))
def test_signals_while_a_tool_works(smollm, slow_path, tmp_path, arguments, number):
    (tmp_path / "long").write_text("many words of a long text " * 1000)
    places = {"SLOW": slow_path, "LONG": tmp_path / "long"}
    huge = arguments[-1] == "HUGE"
    if huge:
        (tmp_path / "huge").write_text("many words of a huge text " * 1000000)
        arguments = arguments[:-1]
    process = subprocess.Popen([smollm.path, *(str(places.get(a, a)) for a in arguments)],
                               stdin=open(tmp_path / "huge") if huge else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**smollm.environment, "TMPDIR": str(tmp_path)})
    time.sleep(0.1 if arguments == ["selftest"] else 0.4)
    assert process.poll() is None
    ends_at_once(process, number, 3)
    assert not list(tmp_path.glob("smollm-selftest*"))


@SIGNALS
def test_signals_while_a_file_is_converted(smollm, tmp_path, number):
    from make_model import make_model

    make_model(tmp_path / "in.gguf", arch="llama", type="F32", hidden=512, ffn=1024, layers=6, heads=4, kv_heads=2, vocab=20000)
    process = subprocess.Popen([smollm.path, "quantize", tmp_path / "in.gguf", tmp_path / "out.gguf", "Q4_0"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=smollm.environment)
    time.sleep(0.05)
    if process.poll() is None:
        ends_at_once(process, number)
        assert [p.name for p in tmp_path.iterdir()] == ["in.gguf"]


@SIGNALS
def test_signals_while_a_server_does_not_answer(smollm, number):
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = subprocess.Popen([smollm.path, "pull", f"http://127.0.0.1:{server.getsockname()[1]}/m.gguf"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=smollm.environment)
        server.accept()[0]
        time.sleep(0.2)
        ends_at_once(process, number, 2.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_while_serving(smollm, parrot_path, number):
    process = smollm.start("serve", parrot_path, "-t", "1", "--port", "0")
    assert "http" in process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(10) == 0
    process.communicate()


def test_the_server_on_a_full_disk(smollm, parrot_path):
    command = [smollm.path, "serve", str(parrot_path), "-t", "1", "--port", "0"]
    result = redirect(smollm, command, ">/dev/full", "")
    assert result.returncode == 1 and FULL in result.stderr


def test_the_table_is_complete(smollm):
    names = set(re.findall(r"^  ([a-z]+) ", smollm.run("--help").stdout, re.M))
    working = {row.arguments[0] for row in COMMANDS if not any(str(a).endswith("help") for a in row.arguments)}
    assert names - {"serve"} == {name for name in working if not name.startswith("--") and name != "version"}
    assert names == {row.arguments[0] for row in COMMANDS if row.arguments[1:] == ("--help",)}
