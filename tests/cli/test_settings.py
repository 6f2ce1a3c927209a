"""Class 3: environment, config file and command line mean what people write in them."""
import json
import re

import pytest

COMMANDS = ["serve", "chat", "run", "pull", "inspect", "quantize", "tokenize", "perplexity", "constrain", "bench", "selftest", "decide", "calibrate"]


@pytest.fixture
def run(smollm, parrot_path):
    """run(environment, config, arguments…): one answer in JSON unless other arguments are given."""
    smollm.cache.mkdir(exist_ok=True)

    def start(*arguments, config=None, command="run", **environment):
        path = smollm.cache / "config"
        path.write_bytes(config if isinstance(config, bytes) else (config or "").encode())
        given = [*arguments, "x"] if command == "run" else [*arguments]
        return smollm.run(command, parrot_path, "-t", 1, *given, input="",
                          env={**smollm.environment, "SMOLLM_CONFIG": str(path), **environment})

    return start


def is_json(result):
    assert result.returncode == 0, result.stderr
    return result.stdout.startswith("{")


@pytest.mark.parametrize("word, on", [("1", True), ("true", True), ("TRUE", True), ("on", True), ("Yes", True), ("0", False),
                                      ("false", False), ("False", False), ("OFF", False), ("no", False), ("", False)])
def test_words_for_on_and_off(run, word, on):
    assert is_json(run(SMOLLM_JSON=word)) == on
    assert is_json(run(config=f"json = {word}\n")) == on
    if word:
        assert is_json(run(f"--json={word}")) == on


def test_a_flag_alone_in_the_file_is_on(run):
    assert is_json(run(config="json  # as on the command line\n"))


@pytest.mark.parametrize("word", ["maybe", "2", "-1", "y es"])
def test_other_words_are_errors_that_name_the_allowed_ones(run, word):
    for result in (run(SMOLLM_JSON=word), run(config=f"json = {word}"), run(f"--json={word}")):
        assert result.returncode == 2 and "true, on or yes" in result.stderr and f"'{word}'" in result.stderr
    assert is_json(run("--json", SMOLLM_JSON=word, config=f"json = {word}"))  # not in force


def test_an_empty_variable_is_not_set(smollm, run):
    """Of every option of every command."""
    names = set()
    for command in COMMANDS:
        names |= set(re.findall(r"^ .*?--([a-z-]+)", smollm.run(command, "--help").stdout, re.M))
    assert len(names) > 45
    empty = {"SMOLLM_" + name.upper().replace("-", "_"): "" for name in names}
    empty |= {"SMOLLM_MODEL": "", "SMOLLM_CONFIG": "", "XDG_CONFIG_HOME": ""}
    for command, given in (("run", []), ("bench", ["-p", "1", "-n", "1", "-r", "1"])):
        result = run(*given, command=command, **empty)
        assert result.returncode == 0, result.stderr


def test_an_empty_alias_is_not_a_name(run):
    assert is_json(run("--json", config="alias =\nsystem = \"\"\nchat-format =\n"))


def test_only_the_value_in_force_is_looked_at(run):
    assert run("-n", 3, SMOLLM_PREDICT="many").returncode == 0
    assert run("-n", 3, config="predict = many\n").returncode == 0
    assert run(SMOLLM_PREDICT="3", config="predict = many\n").returncode == 0
    assert run(SMOLLM_PREDICT="many").returncode == 2 and "SMOLLM_PREDICT" in run(SMOLLM_PREDICT="many").stderr
    result = run(config="temp = 0\npredict = many\n")
    assert result.returncode == 2 and "line 2" in result.stderr and "'many'" in result.stderr


def test_the_command_line_comes_before_environment_and_file(run):
    def tokens(result):
        return json.loads(result.stdout)["usage"]["completion_tokens"]

    assert tokens(run("--json", "-n", 1, SMOLLM_PREDICT="2", config="predict = 3")) == 1
    assert tokens(run("--json", SMOLLM_PREDICT="2", config="predict = 3")) == 2
    assert tokens(run("--json", config="predict = 3")) == 3


def test_a_list_of_the_command_line_takes_the_place_of_others(run):
    assert "things" in run("--stop", "nowhere", SMOLLM_STOP="things").stdout
    assert "things" not in run(SMOLLM_STOP="things").stdout
    assert "say" not in run(config="stop = things\nstop = say\n").stdout


@pytest.mark.parametrize("config", [b"\xef\xbb\xbfpredict = 2\r\njson = on\r\n", b"; a comment\npredict = 2 # two\njson = yes\t# yes\n",
                                    b"predict = '2'\njson = \"on\"  # quoted\n", b"  predict=2\n\n#json = no\njson",
                                    b"predict 2\njson on\n"], ids=["windows", "comments", "quotes", "bare", "blanks"])
def test_the_file_is_read_as_people_write_it(run, config):
    result = run(config=config)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["usage"]["completion_tokens"] == 2


def test_what_is_no_comment_stays(run, smollm):
    """A '#' within a word or quotes is text: the stop string is that."""
    for line in ("stop = #", "stop = a#b", "stop = 'a # b'", 'stop = "say ü"'):
        assert run(config=line).returncode == 0
    assert run(config='stop = "say ü"').stdout == "All parrots \n"
    assert run(config="stop = say # comment").stdout == "All parrots \n"


def test_a_path_in_the_home_directory(run, smollm, parrot_path):
    (smollm.cache / "m.gguf").symlink_to(parrot_path)
    for environment, config in (({"SMOLLM_MODEL": "~/m.gguf"}, ""), ({}, "model = ~/m.gguf\n"), ({"SMOLLM_MODEL": str(parrot_path)}, "model = nowhere.gguf\n")):
        (smollm.cache / "config").write_text(config)
        result = smollm.run("run", "x", "-t", 1, input="", env={**smollm.environment, "SMOLLM_CONFIG": str(smollm.cache / "config"), **environment})
        assert result.returncode == 0 and "parrots" in result.stdout, result.stderr


def test_a_file_of_utf_16_is_refused_in_words(run):
    result = run(config="predict = 2\n".encode("utf-16"))
    assert result.returncode == 2 and "not UTF-8 text" in result.stderr


def test_variables_of_kubernetes_do_no_harm(smollm, parrot_path):
    service = {"SMOLLM_PORT": "tcp://10.0.0.7:8080", "SMOLLM_PORT_8080_TCP": "tcp://10.0.0.7:8080", "SMOLLM_SERVICE_HOST": "10.0.0.7",
               "SMOLLM_PORT_8080_TCP_ADDR": "10.0.0.7", "SMOLLM_PORT_8080_TCP_PORT": "8080", "SMOLLM_SERVICE_PORT": "8080"}
    for arguments, notes in (([], 1), (["--port", "0"], 0)):
        # A free port where one is chosen; the default one may be in use, which is said after the variables are read.
        process = smollm.start("serve", parrot_path, "-t", "1", *arguments, env={**smollm.environment, **service})
        line = process.stdout.readline()
        process.terminate()
        errors = process.communicate(timeout=10)[1]
        assert "SMOLLM_PORT takes" not in errors and "whole number" not in errors
        assert errors.count("SMOLLM_PORT is the address of a service") == notes
        assert " at http://" in line or "in use" in errors


def test_zero_tokens_are_none(run):
    result = run("-n", 0)
    assert result.returncode == 0 and result.stdout == "\n"
    answer = json.loads(run("-n", 0, "--json", "--seed", 7).stdout)
    assert answer["text"] == "" and answer["finish_reason"] == "length" and answer["usage"]["completion_tokens"] == 0 and answer["seed"] == 7
    assert "things" in run("-n", "-1").stdout


@pytest.mark.parametrize("seed", [0, 2**53 + 1, 2**62, 2**63 - 1, -5, -(2**63)])
def test_every_whole_number_of_64_bits_is_a_seed(run, seed):
    assert json.loads(run("--json", "--seed", seed).stdout)["seed"] == seed


@pytest.mark.parametrize("seed", ["9223372036854775808", "-9223372036854775809", "1.5", "x", ""])
def test_other_seeds_are_refused(run, seed):
    result = run("--seed", seed)
    assert result.returncode == 2 and "from -9223372036854775808 to 9223372036854775807" in result.stderr


def test_numbers_of_json_are_as_precise_as_they_are(run):
    text = run("--json").stdout
    assert all(len(number.replace(".", "")) <= 8 for number in re.findall(r'(?:_ms|_per_second)":([0-9.]+)', text)), text


def test_one_token_has_no_speed(run):
    assert json.loads(run("--json", "-n", 1).stdout)["timings"]["predicted_per_second"] == 0
