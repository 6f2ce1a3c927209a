"""Prompts against Jinja2's, ids of prompts against HF tokenizers', tools against Python's str(): goldens.json has what
they gave. The ids need SMOLLM_TEST_MODEL (SmolLM2's GGUF file) and SMOLLM_LLAMA3_TOKENIZER (folder with Llama 3's)."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tokenizer"))
from conversations import (CALL, CHAT, DATE, HELLO, MALFORMED, PLAIN_SEARCH, SEARCH, all_cases, all_llama31_cases, ids_cases, repr_cases,  # noqa: E402
                           turns)
from make_goldens import SMOLLM3_TOKENS  # noqa: E402
from make_vocabulary import write_vocabulary  # noqa: E402
from records import BUILD, encode  # noqa: E402

GOLDENS = json.loads(pathlib.Path(__file__).with_name("goldens.json").read_text())
ENOTFOUND, EINVAL, EFORMAT, EUNSUPPORTED, ELIMIT = -4, -2, -5, -6, -7


def ask(requests):
    data = "".join(json.dumps(r) + "\n" for r in requests).encode()
    answer = subprocess.run([BUILD / "tests" / "chat" / "render_prompts"], input=data, stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in answer.stdout.decode().split("\n")[:-1]]
    assert len(answers) == len(requests)
    return answers


def test_prompts_equal_jinja():
    cases = list(all_cases())
    assert len(cases) == len(GOLDENS["prompts"]) > 200
    for case, got, want in zip(cases, ask(cases), GOLDENS["prompts"]):
        assert got.get("text") == want, (case, got)


def test_prompts_of_llama31_equal_jinja():
    cases = list(all_llama31_cases())
    assert len(cases) == len(GOLDENS["llama31"]) > 100
    for case, got, want in zip(cases, ask(cases), GOLDENS["llama31"]):
        assert got.get("text") == want, (case, got)


def test_what_llama31_s_template_cannot_say():
    """With keep_all nothing is lost or refused: several calls are turns, text stands before a call, tools before whatever comes first."""
    chat = [*HELLO, {"role": "assistant", "content": " Two. ", "tool_calls": [*CALL, {"name": "f", "arguments": "not JSON"}, {"name": "g"}]}]
    case = {"format": "llama3.1", "messages": chat, "no_generation_prompt": True}
    refused, kept = ask([case, {**case, "keep_all": True}])
    assert refused["code"] == EINVAL and "message 1 has 3 tool calls" in refused["error"]
    begin = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    assert kept["text"].endswith(
        begin + 'Two.\n{"name": "get_weather", "parameters": {"city": "Köln", "days": 3, "x": [1.5, {}], "y": null}}<|eot_id|>'
        + begin + '{"name": "f", "parameters": "not JSON"}<|eot_id|>' + begin + '{"name": "g", "parameters": {}}<|eot_id|>')
    first = {"format": "llama3.1", "messages": [chat[1], *HELLO], "tools": [PLAIN_SEARCH], "keep_all": True}
    assert '}\n\n<|eot_id|>' + begin + "Two.\n{" in ask([first])[0]["text"]
    refusals = ask([{"format": "llama3.1", "messages": []}, {"format": "llama3.2", "messages": turns(("system", "x")), "tools": [SEARCH]},
                    {"format": "llama3.1", "messages": HELLO, "tools": ["{"]}, {"format": "llama3.2", "messages": HELLO, "python_tools": ["f"]}])
    assert [r.get("code") for r in refusals] == [EINVAL, EINVAL, EINVAL, EUNSUPPORTED]
    assert "tool 0" in refusals[2]["error"]
    half = ask([{"format": "llama3.1", "messages": HELLO, "tools": ['{"a": "\\ud83d", "\\ude00": 1}']}])[0]["text"]
    assert '"a": "\\ud83d",\n        "\\ude00": 1' in half


def test_today_in_llama32():
    import datetime
    text = ask([{"format": "llama3.2", "messages": HELLO}])[0]["text"]
    days = [datetime.date.today() + datetime.timedelta(days=d) for d in (-1, 0)]
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    assert any("Today Date: %02d %s %d\n\n" % (d.day, months[d.month - 1], d.year) in text for d in days)


def test_marks_hold_no_text_of_the_conversation():
    """Outside the spans is what the conversation says, and only that."""
    cases = list(ids_cases())
    for case, got in zip(cases, ask(cases)):
        data, at, outside = got["text"].encode(), 0, []
        for offset, size in got["spans"]:
            assert size > 0 and offset >= at
            outside.append(data[at:offset].decode())
            at = offset + size
        outside.append(data[at:].decode())
        for message in case["messages"]:
            assert message["content"] in outside or case["format"] == "smollm3" and message["role"] == "system"


@pytest.mark.parametrize("name", ["smollm3", "chatml", "llama3"])
def test_ids_of_prompts_equal_hf(name, tmp_path):
    if name == "chatml":
        vocabulary = os.environ["SMOLLM_TEST_MODEL"]
    else:
        vocabulary = tmp_path / "vocabulary.gguf"
        write_vocabulary(os.environ["SMOLLM_LLAMA3_TOKENIZER"], vocabulary, *(
            ("smaug-bpe", SMOLLM3_TOKENS) if name == "smollm3" else ()))
    cases, goldens = zip(*((c, g) for c, g in zip(ids_cases(), GOLDENS["ids"]) if c["format"] == name))
    assert len(cases) > 30
    prompts = ask(cases)
    got = encode(vocabulary, [p["text"] for p in prompts], [p["spans"] for p in prompts])
    for case, ids, want in zip(cases, got, goldens):
        assert ids == want, case


def test_tools_are_written_as_python_does():
    cases = list(repr_cases())
    assert len(cases) == len(GOLDENS["reprs"])
    for case, got, want in zip(cases, ask([{"repr": c} for c in cases]), GOLDENS["reprs"]):
        assert got.get("text") == want, (case, got)


def test_json_that_is_none_is_refused():
    for case, got in zip(MALFORMED, ask([{"repr": c} for c in MALFORMED])):
        assert got.get("code") == EFORMAT, (case, got)
    deep = '{"d": ' + "[" * 128 + "]" * 128 + "}"
    long = "{" + "[" * 100000
    assert ask([{"repr": deep}])[0]["code"] == ELIMIT
    assert ask([{"repr": '{"d":' * 1000}])[0]["code"] == ELIMIT
    assert ask([{"repr": long}])[0]["code"] == EFORMAT


def test_continuing_the_last_message():
    """The prompt without its end: what the template closes the turn with."""
    chat = turns(("user", "Hi"), ("assistant", "\nHello, I"))
    for extra in ({"format": "smollm3", "date": DATE}, {"format": "smollm3", "date": DATE, "thinking": False},
                  {"format": "chatml"}, {"format": "llama3"}, {"format": "llama3.1"}, {"format": "llama3.1", "tools": [SEARCH]}):
        whole, part = ask([{"messages": chat, "no_generation_prompt": True, **extra},
                           {"messages": chat, "continue": True, **extra}])
        assert part["text"].endswith("Hello, I")
        assert whole["text"] in (part["text"] + "<|im_end|>\n", part["text"] + "<|eot_id|>")
        refused, empty = ask([{"messages": HELLO, "continue": True, **extra}, {"messages": [], "continue": True, **extra}])
        assert refused["code"] == empty["code"] == EINVAL


def test_tool_calls_of_earlier_turns():
    """Left out as the template does, or written as the model writes them."""
    call = {"name": "f\"\n", "arguments": '{"x": 1}'}
    chat = [*HELLO, {"role": "assistant", "content": "Hm.", "tool_calls": [call, call]}]
    case = {"format": "smollm3", "date": DATE, "messages": chat, "no_generation_prompt": True}
    out, written = ask([case, {**case, "keep_all": True}])
    assert out["text"].endswith("assistant\nHm.<|im_end|>\n")
    one = '\n<tool_call>\n{"name": "f\\"\\n", "arguments": {"x": 1}}\n</tool_call>'
    assert written["text"].endswith("assistant\nHm." + one + one + "<|im_end|>\n")


def test_marks_of_tool_results():
    """Off by default, as the template; the marks are the format's own, what is between them is not."""
    chat = [*HELLO, *turns(("tool", "</tool_response>"), ("tool", "2"), ("user", "x"), ("tool", "3"))]
    case = {"format": "smollm3", "date": DATE, "messages": chat}
    plain, marked = ask([case, {**case, "marks": True}])
    turn = "<|im_start|>user\n%s<|im_end|>\n"
    assert turn % "</tool_response>" + turn % "2" + turn % "x" + turn % "3" in plain["text"]
    results = "<tool_response>\n</tool_response>\n</tool_response>\n<tool_response>\n2\n</tool_response>"
    assert turn % results + turn % "x" + turn % "<tool_response>\n3\n</tool_response>" in marked["text"]
    at = marked["text"].index("</tool_response>")
    assert not any(offset <= at < offset + size for offset, size in marked["spans"])


def test_system_messages_anywhere():
    """The template drops all but the first."""
    chat = turns(("system", "One."), ("system", "Two. /no_think"), ("user", "x"), ("system", "Late."), ("user", "y"))
    case = {"format": "smollm3", "date": DATE, "messages": chat}
    template, kept = ask([case, {**case, "keep_all": True}])
    assert "Two" not in template["text"] and "Late" not in template["text"]
    assert "## Custom Instructions\n\nOne.\n\nTwo.\n\n" in kept["text"] and "Reasoning Mode: /no_think" in kept["text"]
    assert "x<|im_end|>\n<|im_start|>system\nLate.<|im_end|>\n<|im_start|>user\ny" in kept["text"]


TOOLS_TEXT = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": %s}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""


@pytest.mark.parametrize("name, begin, middle, end, system", [
    ("chatml", "<|im_start|>", "\n", "<|im_end|>\n", "You are a helpful AI assistant named SmolLM, trained by Hugging Face\n\n"),
    ("llama3", "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", ""),
])
def test_tools_for_formats_without_any(name, begin, middle, end, system):
    """The prompt of Hermes and Qwen 2.5: tools in the system's turn, results as a turn of the user."""
    call = {"name": "f", "arguments": '{"x": 1}'}
    chat = [*HELLO, {"role": "assistant", "content": "", "tool_calls": [call, call]}, *turns(("tool", "1"), ("tool", "2"))]
    first = "<|begin_of_text|>" if name == "llama3" else ""
    offered, own, quiet = ask([
        {"format": name, "messages": chat, "tools": [SEARCH], "keep_all": True},
        {"format": name, "messages": [*turns(("system", "Be brief.")), *HELLO], "tools": [SEARCH], "keep_all": True},
        {"format": name, "messages": chat, "keep_all": True}])
    one = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'
    turn = lambda role, text: begin + role + middle + text + end  # noqa: E731
    rest = (turn("user", HELLO[0]["content"]) + turn("assistant", one + "\n" + one)
            + turn("user", "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>") + begin + "assistant" + middle)
    assert offered["text"] == first + turn("system", system + TOOLS_TEXT % SEARCH) + rest
    assert own["text"].startswith(first + turn("system", "Be brief.\n\n" + TOOLS_TEXT % SEARCH))
    assert quiet["text"].endswith(rest)


def test_what_is_refused():
    smollm3 = {"format": "smollm3", "date": DATE}
    got = ask([
        {**smollm3, "messages": []},
        {**smollm3, "messages": turns(("user", "x"), ("developer", "y"))},
        {**smollm3, "messages": HELLO, "tools": [SEARCH, "{"]},
        {**smollm3, "messages": HELLO, "tools": ["[]"]},
        {"format": "chatml", "messages": HELLO, "python_tools": ["f"]},
        {"format": "llama3", "messages": HELLO, "python_tools": ["f"]},
    ])
    assert [g.get("code") for g in got] == [EINVAL] * 4 + [EUNSUPPORTED] * 2
    assert "message 1 has the role 'developer'" in got[1]["error"]
    assert "tool 1" in got[2]["error"]


def test_today_is_printed_where_no_date_is_given():
    text = ask([{"format": "smollm3", "messages": CHAT}])[0]["text"]
    import datetime
    days = [datetime.date.today() + datetime.timedelta(days=d) for d in (-1, 0)]
    months = "January February March April May June July August September October November December".split()
    assert any("Today Date: %02d %s %d\n" % (d.day, months[d.month - 1], d.year) in text for d in days)


CHATML = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are " \
         "a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + " \
         "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ " \
         "'<|im_start|>assistant\n' }}{% endif %}"


def test_recognizing_templates():
    llama3 = json.loads((pathlib.Path(os.environ["SMOLLM_LLAMA3_TOKENIZER"]) / "tokenizer_config.json").read_text())
    llama3 = llama3["chat_template"]
    known = [(CHATML, "chatml"), (CHATML.replace("'", '"'), "chatml"), (CHATML.replace("\n", "\\n"), "chatml"),
             (llama3, "llama3"), (llama3.replace("'", '"'), "llama3"), (llama3.replace("\n", "\\n"), "llama3")]
    for template, name in known:
        assert ask([{"template": template, "architecture": "llama"}])[0].get("text") == name, template
    unknown = [CHATML.replace("SmolLM", "Other"), CHATML.replace("assistant\n", "bot\n"), CHATML.replace("'\n' + m", "' ' + m"),
               CHATML + "{% if tools %}x{% endif %}", llama3.replace("trim", "upper"), llama3 + "{{ strftime_now('%d') }}",
               "{{ ''.__class__.__mro__ }}", "<|im_start|>", "x" * 100000]
    for template in unknown:
        got = ask([{"template": template, "architecture": "smollm3"}])[0]
        assert got.get("code") == EUNSUPPORTED, template
        assert "smollm3, chatml, llama3, llama3.1, llama3.2" in got["error"]
    assert ask([{"template": "", "architecture": "smollm3"}])[0].get("text") == "smollm3"
    assert ask([{"template": "", "architecture": "llama"}])[0].get("code") == ENOTFOUND


# What tells Llama 3.1's template apart, in its order.
LLAMA31 = """{{- bos_token }}
{%- if custom_tools is defined %}{%- endif %}
    {%- set tools_in_user_message = true %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}{%- endif %}
    {%- set system_message = messages[0]['content']|trim %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
        {%- set first_user_message = messages[0]['content']|trim %}
        {{- raise_exception("Cannot put tools in the first user message when there's no first user message!") }}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
            {{- '{"name": "' + tool_call.name + '", ' }}
            {{- '"parameters": ' }}
            {{- tool_call.arguments | tojson }}
            {{- "}" }}
"""


def test_recognizing_llama31():
    date = """{%- set date_string = "26 Jul 2024" %}"""
    llama32 = LLAMA31.replace(date, '{%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}' + date + "{%- endif %}")
    for template, name in ((LLAMA31, "llama3.1"), (LLAMA31 + "{%- if builtin_tools is defined %}{%- endif %}", "llama3.1"), (llama32, "llama3.2")):
        assert ask([{"template": template, "architecture": "llama"}])[0].get("text") == name
    for template in (LLAMA31.replace("26 Jul", "26 July"), LLAMA31.replace("|trim", ""), LLAMA31.replace("parameters", "arguments"),
                     llama32.replace("%d %b", "%B %d"), LLAMA31 + "{{ image }}"):
        assert ask([{"template": template, "architecture": "llama"}])[0].get("code") == EUNSUPPORTED
