"""Class 1: what a person types into the chat arrives as it was typed, and nothing of it is lost."""
import json
import os
import re
import signal
import time

import pytest

from terminal import PASTE, PATIENCE, Terminal

FIGURES = r"\[\d+ tokens?[^\]]*\]"
PROMPT = r"\x1b\[\?2004h> "


@pytest.fixture
def chat(smollm, parrot_path):
    """Starts a chat and waits for its prompt."""
    def start(*arguments, model=parrot_path, env=None, columns=80, wait=PROMPT, **options):
        smollm.cache.mkdir(exist_ok=True)
        environment = {**smollm.environment, "TERM": "xterm", "LANG": "C.UTF-8", **(env or {})}
        environment.pop("XDG_STATE_HOME", None)
        environment.pop("LC_ALL", None)
        environment.update(env or {})
        terminal = Terminal(smollm.path, "chat", model, "-t", 1, "-n", 20, *arguments, env=environment, columns=columns, **options)
        if wait:
            terminal.wait_for(wait)
        return terminal

    return start


def history(smollm):
    path = smollm.cache / ".local/state/smollm/history"
    assert path.stat().st_mode & 0o777 == 0o600
    lines = path.read_bytes().decode().splitlines()[1:]
    return [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line) for line in lines]


@pytest.mark.parametrize("locale", [{"LANG": "C.UTF-8"}, {"LANG": "xx_XX.UTF-8"}, {"LANG": ""}, {"LC_ALL": "C"},
                                    {"LC_ALL": "POSIX", "TERM": "dumb"}], ids=str)
def test_every_character_is_kept(chat, smollm, locale):
    text = "café 日本語 😀 Привет e\u0301"
    wait = "> " if locale.get("TERM") == "dumb" else PROMPT
    with chat(env=locale, wait=wait) as terminal:
        terminal.send(text)
        terminal.wait_for("Привет e\u0301")
        terminal.send("\r")
        assert "日本語" in terminal.wait_for(FIGURES)
        terminal.send("\x04")
        assert terminal.wait_end() == 0
    assert history(smollm) == [text]


def test_wide_characters_are_edited(chat, smollm):
    with chat() as terminal:
        terminal.send("日本語😀é\x7f\x7f\x1b[D\x1b[D-\x05+\r")  # two backspaces, two to the left, and to the end
        terminal.wait_for(FIGURES)
        terminal.wait_for(PROMPT)
        terminal.send("\x1b[A")
        terminal.wait_for("日-本語\\+")
        terminal.send("\r")
        terminal.wait_for(FIGURES)
        terminal.send("\x04")
        terminal.wait_end()
    assert history(smollm)[0] == "日-本語+"
    with chat() as terminal:  # from the file of the last chat
        terminal.send("\x1b[A")
        terminal.wait_for("日-本語\\+")


def test_a_paste_is_one_message(chat, smollm):
    with chat() as terminal:
        assert b"\x1b[?2004h" in terminal.seen
        terminal.send(PASTE[0] + "def f(x):\r\n\treturn x\r\r/clear\n什么?\r" + PASTE[1])
        terminal.wait_for("什么\\?")
        time.sleep(0.2)
        terminal.read(0.1)
        assert not re.search(FIGURES.encode(), terminal.seen)  # nothing is sent before Enter
        terminal.send("\r")
        answer = terminal.wait_for(FIGURES)
        assert "\x1b[?2004l" in answer
        terminal.send("\x04")
        terminal.wait_end()
        assert len(re.findall(FIGURES.encode(), terminal.seen)) == 1
        assert terminal.seen.rindex(b"\x1b[?2004l") > terminal.seen.rindex(b"\x1b[?2004h")
    assert history(smollm) == ["def f(x):\n\treturn x\n\n/clear\n什么?"]


@pytest.mark.parametrize("line", ["/etc/hosts holds what?", "/* c */ int x;", "// comment", " /home/u/a.txt is missing", "/", "/1",
                                  "/usr", "/tmp is full", "//clear"])
def test_text_with_a_slash_can_be_sent(smollm, parrot_path, line):
    """From a pipe every such line is a message: each gets the parrot's answer."""
    result = smollm.run("chat", parrot_path, "-t", 1, input=line + "\n")
    assert result.returncode == 0 and result.stdout.count("All parrots say") == 1, result


def test_a_message_with_a_slash_is_what_was_typed(smollm, slow_path):
    """The model sees it: //text is /text, other lines are as they stand."""
    for typed, sent in [("//help me", "/help me"), ("// comment", "// comment"), ("/etc/hosts holds what?", "/etc/hosts holds what?")]:
        options = ["-t", "2", "-n", "12", "--temp", "0"]
        expected = smollm.run("run", slow_path, *options, sent, input="").stdout.strip()
        assert smollm.run("chat", slow_path, *options, input=typed + "\n").stdout.strip() == expected


def test_a_misspelled_command_is_not_lost(chat, smollm):
    with chat() as terminal:
        terminal.send("/sytem You are terse\r")
        terminal.wait_for("no command /sytem ")
        terminal.wait_for("> /sytem You are terse")  # to be mended
        terminal.send("\x01\x1b[C\x1b[C\x1b[Cs\r")
        terminal.wait_for("starts over with this system message")
        terminal.wait_for(PROMPT)
        terminal.send("/think about it\r")
        terminal.wait_for("/think takes no text")
        terminal.wait_for("> /think about it")
        terminal.send("\x01/\r")
        terminal.wait_for(FIGURES)
        terminal.send("\x04")
        terminal.wait_end()
    assert "//think about it" in history(smollm)


def test_a_mark_of_windows_is_no_text(smollm, slow_path):
    options = ["-t", "2", "-n", "12", "--temp", "0"]
    expected = smollm.run("run", slow_path, *options, input="Say a word").stdout
    assert smollm.run("run", slow_path, *options, input="\ufeffSay a word").stdout == expected
    assert smollm.run("chat", slow_path, *options, input="\ufeffSay a word\r\n").stdout.strip() == expected.strip()


def test_the_last_line_end_goes_where_text_is_appended(smollm, slow_path):
    def tokens(*arguments, **options):
        return json.loads(smollm.run("run", slow_path, "--json", "--raw", "-n", "1", "-t", "2", *arguments, **options).stdout)["usage"]["prompt_tokens"]

    assert tokens("Sum up", input="one two\n") == tokens("Sum up", input="one two")
    assert tokens(input="one two\n") == tokens(input="one two") + 1


def test_ctrl_z_stops_and_fg_goes_on(chat):
    with chat(under_shell=True) as terminal:
        terminal.send("half a line")
        terminal.wait_for("half a line")
        terminal.send("\x1a")
        terminal.wait_for("status 148")
        terminal.wait_for("> half a line")  # fg draws it again
        assert not terminal.echoes()
        terminal.send(" more\r")
        terminal.wait_for(FIGURES)
        terminal.send("\x04")
        terminal.wait_for("ended 0")
        assert terminal.echoes()


def test_ctrl_z_during_an_answer(chat, endless_path):
    with chat("-n", "-1", "-c", "200000", model=endless_path, under_shell=True) as terminal:
        terminal.send("go\r")
        terminal.wait_for("on and\r\non and")
        terminal.send("\x1a")
        terminal.wait_for("status 148")
        terminal.wait_for("on and\r\non and")
        terminal.send("\x03")
        terminal.wait_for("stopped")
        terminal.wait_for(PROMPT)
        terminal.send("\x04")
        terminal.wait_for("ended 0")


def test_what_is_typed_during_an_answer_waits(chat, smollm, endless_path):
    with chat("-n", "3000", "-c", "200000", model=endless_path) as terminal:
        terminal.send("go\r")
        terminal.wait_for("on and\r\non and")
        assert not terminal.echoes()
        terminal.send("nexx\x7ft ques\r\x1b[Ation")
        answer = terminal.wait_for(PROMPT)
        assert "ne" not in answer
        terminal.wait_for("next ques\r\ntion")  # one message, not sent
        terminal.send("\r")
        terminal.wait_for("on and")
        terminal.send("\x03")
        terminal.wait_for(PROMPT)
        terminal.send("\x04")
        terminal.wait_end()
    assert history(smollm) == ["go", "next ques\ntion"]


def test_ctrl_t_ends_the_thinking(chat, smollm, tmp_path):
    """The parrot thinks for ever; after the key it goes on as an answer, and what else was typed waits."""
    from parrot_model import make_parrot

    make_parrot(tmp_path / "thinker.gguf", ["<think>", "so ", "and "], loop=1, context=65536)
    with chat("-n", "60000", "-c", "60000", model=tmp_path / "thinker.gguf") as terminal:
        terminal.send("x\r")
        terminal.wait_for("so.*and.*so")
        terminal.send("later\x14")
        terminal.wait_for("<think>so and")  # after the thinking it is text
        terminal.send("\x03")
        terminal.wait_for("stopped")
        terminal.wait_for("later")


def test_answers_are_broken_between_words(chat):
    with chat(columns=22) as terminal:
        terminal.send("x\r")
        answer = terminal.wait_for(FIGURES)
        assert "All parrots say über\r\n日本語 things.\r\n" in answer


def test_a_resize_draws_the_line_again(chat):
    """Over itself: as many rows up as it now takes."""
    with chat() as terminal:
        terminal.send("hello wide world 日本")
        terminal.wait_for("日本")
        terminal.resize(10, 12)
        terminal.wait_for(r"\x1b\[1A\r\x1b\[J> hello wide")
        terminal.resize(10, 30)
        terminal.wait_for(r"\r\x1b\[J> hello wide world 日本")
        terminal.send("\r")
        assert "All parrots say über 日本語\r\nthings." in terminal.wait_for(FIGURES)


def test_reading_a_long_prompt_shows_how_far_it_is(chat, slow_path):
    with chat("-c", "8000", model=slow_path) as terminal:
        terminal.send(PASTE[0] + "some words to read " * (450 if PATIENCE == 1 else 150) + PASTE[1] + "\r")
        terminal.wait_for(r"reading \[[.#]+\] +[1-9]\d? %", 60 * PATIENCE)
        answer = terminal.wait_for(FIGURES, 60 * PATIENCE)
        assert "reading" not in answer[answer.rindex("\x1b[K"):] and "%" not in answer[answer.rindex("\x1b[K"):]
        terminal.send("\x04")
        assert terminal.wait_end() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_history_survives_the_end(chat, smollm, number):
    with chat() as terminal:
        terminal.send("remember me\r")
        terminal.wait_for(FIGURES)
        terminal.wait_for(PROMPT)
        os.kill(terminal.process.pid, number)
        assert terminal.wait_end() == 128 + number
        assert terminal.echoes() and terminal.seen.endswith(b"\x1b[?2004l\r\n")
    assert history(smollm) == ["remember me"]


def test_one_token_is_one_token_without_a_speed(chat):
    with chat("-n", "1") as terminal:
        terminal.send("x\r")
        assert "[1 token, cut at the limit]" in terminal.wait_for(FIGURES)


def test_ctrl_d_leaves_a_clean_line(chat):
    with chat() as terminal:
        terminal.send("\x04")
        assert terminal.wait_end() == 0
        assert terminal.seen.endswith(b"\r\n") and terminal.echoes()


def test_ctrl_c_drops_a_line_of_any_characters(chat, smollm):
    with chat() as terminal:
        terminal.send("日本語é\x03")
        terminal.wait_for(r"\^C")
        terminal.wait_for(PROMPT)
        terminal.send("kept\r")
        terminal.wait_for(FIGURES)
        terminal.send("\x04")
        terminal.wait_end()
    assert history(smollm) == ["kept"]


@pytest.mark.parametrize("command", ["serve", "chat", "run", "pull", "inspect", "quantize", "tokenize", "perplexity", "constrain", "bench", "selftest", "decide", "calibrate", None])
def test_help_fits_a_terminal(smollm, command):
    text = smollm.run(*([command] if command else []), "--help").stdout
    assert text and max(map(len, text.splitlines())) <= 80
