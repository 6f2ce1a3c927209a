"""Class 2: signals act at once and on nothing else; output that is lost is noticed."""
import os
import resource
import signal
import subprocess
import time

import pytest

from terminal import PATIENCE, Terminal
from test_typed_text import FIGURES, PROMPT, chat  # noqa: F401


def test_a_signal_at_the_prompt_does_not_reach_the_next_answer(chat):  # noqa: F811
    with chat() as terminal:
        for _ in range(2):
            os.kill(terminal.process.pid, signal.SIGINT)
            terminal.wait_for(PROMPT)
            terminal.send("x\r")
            assert "things." in terminal.wait_for(FIGURES) and b"stopped" not in terminal.seen
            terminal.wait_for(PROMPT)


def test_ctrl_c_stops_the_answer_and_the_chat_goes_on(chat, endless_path):  # noqa: F811
    with chat("-n", "-1", "-c", "200000", model=endless_path) as terminal:
        for _ in range(2):
            terminal.send("x\r")
            terminal.wait_for("on and\r\non and")
            terminal.send("\x03")
            assert "stopped" in terminal.wait_for(FIGURES)
            terminal.wait_for(PROMPT)
            terminal.send("/clear\r")
            terminal.wait_for(PROMPT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_an_answer_ends_the_chat(chat, endless_path, number):  # noqa: F811
    with chat("-n", "-1", "-c", "200000", model=endless_path) as terminal:
        terminal.send("x\r")
        terminal.wait_for("on and\r\non and")
        os.kill(terminal.process.pid, number)
        assert terminal.wait_end() == 128 + number
        assert terminal.echoes()


def test_loading_can_be_ended_and_leaves_no_bar(smollm, slow_path):
    for command in (["chat", slow_path], ["run", slow_path, "x"], ["serve", slow_path, "--port", "0"]):
        with Terminal(smollm.path, *command, "-t", 1, env={**smollm.environment, "TERM": "xterm"}) as terminal:
            terminal.wait_for(r"loading \[")
            terminal.send("\x03")
            assert terminal.wait_end(2 * PATIENCE) == (0 if command[0] == "serve" else 130)
            assert b"http" not in terminal.seen and b"100 %" not in terminal.seen
            assert b"\r\x1b[K" in terminal.seen[terminal.seen.rindex(b"loading ["):]


def processor_seconds(run):
    """What a program takes, however busy the machine is."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_loading_ends_where_it_is(smollm, slow_path):
    """It waits with its first bar while the signal comes; what is left is not loaded."""
    def interrupt():
        with Terminal(smollm.path, "run", slow_path, "x", "-t", 1, env={**smollm.environment, "TERM": "xterm"}, paused=True) as terminal:
            time.sleep(0.5 * PATIENCE)
            os.kill(terminal.process.pid, signal.SIGINT)
            terminal.send("\x11")
            assert terminal.wait_end() == 130
            assert b"loading [" in terminal.seen

    whole = min(processor_seconds(lambda: smollm.run("run", slow_path, "x", "-t", 1, "-n", 0, input="")) for _ in range(3))
    assert processor_seconds(interrupt) < 0.4 * whole


def test_a_long_prompt_can_be_left(smollm, slow_path):
    """Also in the middle of a pass of many tokens."""
    prompt = "some words to read " * 1600
    with Terminal(smollm.path, "run", slow_path, prompt, "-t", 1, "-c", 8000, "-ub", 8192, env={**smollm.environment, "TERM": "xterm"}) as terminal:
        terminal.wait_for(r"reading \[")
        terminal.send("\x03")
        begin = time.monotonic()
        assert terminal.wait_end() == 130
        assert time.monotonic() - begin < 2 * PATIENCE


def start_head(smollm, *command, **options):
    return subprocess.Popen([smollm.path, *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=smollm.environment, **options)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=str)
def test_a_reader_that_leaves_ends_the_answer(smollm, endless_path, options):
    process = start_head(smollm, "run", endless_path, "x", "-c", 240000, "-t", 1, *options)
    if not options:
        assert process.stdout.read(5)
    process.stdout.close()
    begin = time.monotonic()
    assert process.wait(20) == 1 and process.stderr.read() == b""
    assert time.monotonic() - begin < 2 * PATIENCE


def test_a_reader_that_leaves_ends_a_list_of_lines(smollm, slow_path, tmp_path):
    text = tmp_path / "text"
    text.write_text("many words of a long text " * 1000)
    process = start_head(smollm, "perplexity", slow_path, text, "--per-token", "-t", 1)
    assert process.stdout.read(5)
    process.stdout.close()
    begin = time.monotonic()
    assert process.wait(60) == 1 and process.stderr.read() == b""
    assert time.monotonic() - begin < 3 * PATIENCE


def test_a_prompt_that_is_awaited_is_asked_for(smollm, parrot_path):
    process = subprocess.Popen([smollm.path, "run", parrot_path, "x", "-t", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=smollm.environment)
    assert process.stderr.readline() == "smollm: reading the prompt from standard input (end with Ctrl-D)\n"
    assert process.communicate("y\n", timeout=10)[0] == "All parrots say über 日本語 things.\n"
    assert smollm.run("run", parrot_path, "x", "-t", 1, input="y").stderr == ""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_serve_finishes_on_every_signal(smollm, endless_path, number):
    """Also when a terminal is closed: an answer that streams is finished or gets an error event."""
    import http.client
    import json

    process = smollm.start("serve", endless_path, "-t", "1", "--port", "0", "-c", "200000")
    address = process.stdout.readline().split("http://")[1].strip()
    client = http.client.HTTPConnection(address, timeout=20)
    client.request("POST", "/v1/chat/completions", json.dumps({"messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": 1500}),
                   {"Content-Type": "application/json"})
    response = client.getresponse()
    assert response.read(20)
    process.send_signal(number)
    rest = response.read()
    assert rest.rstrip().endswith(b"[DONE]") or b"shutting_down" in rest
    assert process.wait(15) == 0
    process.communicate()


def test_nohup_is_respected(smollm, parrot_path):
    """SIGHUP that is ignored from the start stays so."""
    process = smollm.start("serve", parrot_path, "-t", "1", "--port", "0", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert "http" in process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.terminate()
    assert process.wait(10) == 0
    process.communicate()


def test_closed_descriptors_of_a_server(smollm, parrot_path):
    """Its own files must not become descriptors 1 and 2: it ends as it should."""
    process = subprocess.Popen(["bash", "-c", 'exec "$@" >&- 2>&- <&-', "bash", smollm.path, "serve", parrot_path, "-t", "1", "--port", "0"],
                               env=smollm.environment)
    time.sleep(1 * PATIENCE)
    assert process.poll() is None
    names = [os.readlink(f"/proc/{process.pid}/fd/{i}") for i in range(3)]
    assert names == ["/dev/null"] * 3
    process.terminate()
    assert process.wait(10) == 0
