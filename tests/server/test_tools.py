"""Tools: calls that are required, named, or made by the model, whatever the model's chat format is."""
import json
import os
import re

import pytest

from server_process import SLOWNESS

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city.", "parameters": {
    "type": "object", "additionalProperties": False, "required": ["city", "days"],
    "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer", "minimum": 1, "maximum": 7},
                   "unit": {"enum": ["celsius", "fahrenheit"]}}}}}
LIGHT = {"type": "function", "function": {"name": "set_light", "parameters": {
    "type": "object", "additionalProperties": False, "properties": {"on": {"type": "boolean"}}, "required": ["on"]}}}
NOTHING = {"type": "function", "function": {"name": "nothing"}}
ASK = [{"role": "user", "content": "What is the weather in Paris for three days?"}]


def check_call(call):
    arguments = json.loads(call["function"]["arguments"])
    if call["function"]["name"] == "get_weather":
        assert set(arguments) <= {"city", "days", "unit"} and {"city", "days"} <= set(arguments)
        assert type(arguments["days"]) is int and 1 <= arguments["days"] <= 7 and len(arguments["city"]) <= 20
        assert arguments.get("unit", "celsius") in ("celsius", "fahrenheit")
    elif call["function"]["name"] == "set_light":
        assert list(arguments) == ["on"] and type(arguments["on"]) is bool
    else:
        assert call["function"]["name"] == "nothing" and type(arguments) is dict


def ask(server, **fields):
    answer = server.http.post("/v1/chat/completions", json={"messages": ASK, "max_tokens": 300, **fields}, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


@pytest.mark.parametrize("choice", ["required", "any", {"type": "function", "function": {"name": "set_light"}},
                                    {"type": "function", "name": "set_light"}], ids=str)
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_required_calls(small, choice, temperature):
    for seed in range(3):
        got = ask(small, tools=[WEATHER, LIGHT, NOTHING], tool_choice=choice, temperature=temperature, seed=seed, parallel_tool_calls=False)
        calls = got["message"]["tool_calls"]
        assert got["finish_reason"] == "tool_calls" and len(calls) == 1 and not got["message"]["content"]
        check_call(calls[0])
        assert re.fullmatch(r"call_[0-9a-f]{18}", calls[0]["id"])
        if isinstance(choice, dict):
            assert calls[0]["function"]["name"] == "set_light"


def test_several_calls(small):
    got = ask(small, tools=[LIGHT], tool_choice="required", temperature=1, seed=1, max_tokens=200)
    assert got["finish_reason"] in ("tool_calls", "length")
    ids = [call["id"] for call in got["message"]["tool_calls"]]
    assert len(set(ids)) == len(ids) >= 1
    for call in got["message"]["tool_calls"][:-1]:
        check_call(call)


def test_streams(small):
    """Deltas: id and name once, arguments in pieces; the whole is what an answer without stream is."""
    fields = {"messages": ASK, "tools": [WEATHER, LIGHT], "tool_choice": "required", "temperature": 0.9, "seed": 4, "max_tokens": 200,
              "parallel_tool_calls": False}
    whole = small.http.post("/v1/chat/completions", json=fields).json()["choices"][0]["message"]["tool_calls"][0]["function"]
    names, arguments, ids = [], "", []
    with small.http.stream("POST", "/v1/chat/completions", json={**fields, "stream": True}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    for delta in choice["delta"].get("tool_calls", []):
                        names += [delta["function"]["name"]] if "name" in delta["function"] else []
                        ids += [delta["id"]] if "id" in delta else []
                        arguments += delta["function"].get("arguments", "")
    assert names == [whole["name"]] and len(ids) == 1 and arguments == whole["arguments"]


def test_openai_client(small):
    client = small.openai()
    answer = client.chat.completions.create(model="any", messages=ASK, tools=[WEATHER], tool_choice="required", temperature=0, max_tokens=200)
    call = answer.choices[0].message.tool_calls[0]
    check_call({"function": {"name": call.function.name, "arguments": call.function.arguments}})
    # The call goes back with its result, and the model answers.
    again = client.chat.completions.create(model="any", temperature=0, max_tokens=20, tools=[WEATHER], messages=[
        *ASK, answer.choices[0].message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees."}])
    assert again.choices[0].message.content or again.choices[0].message.tool_calls


def test_history_reaches_the_model(small, parrot):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    messages = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}]
    for server in (small, parrot):
        prompt = server.http.post("/apply-template", json={"messages": messages}).json()["prompt"]
        assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>' in prompt
        assert "Rain." in prompt


def test_calls_that_the_model_makes_itself(parrot):
    """The parrot calls get_weather with city and days: with a schema that allows it, it may; otherwise it cannot."""
    def calls(parameters):
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
        return ask(parrot, tools=[tool])

    fits = calls(WEATHER["function"]["parameters"])
    assert fits["finish_reason"] == "tool_calls"
    assert json.loads(fits["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris", "days": 3}
    assert fits["message"]["reasoning_content"] == "Let me see." and fits["message"]["content"].startswith("Grüße")
    # The parrot wants to say Paris; the schema of this tool does not let it.
    other = calls({"type": "object", "properties": {"city": {"enum": ["Rome"]}}, "required": ["city"], "additionalProperties": False})
    assert other["finish_reason"] in ("tool_calls", "length")
    written = other["message"]["tool_calls"][0]["function"]["arguments"]
    assert '{"city": "Rome"}'.startswith(written) or json.loads(written) == {"city": "Rome"}


def test_a_form_beside_tools(small):
    """Without a call the answer has its form."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}},
                                                                          "required": ["ok"], "additionalProperties": False}}}
    for seed in range(4):
        got = ask(small, tools=[LIGHT], response_format=form, temperature=1, seed=seed, parallel_tool_calls=False)
        if got["finish_reason"] == "stop":
            assert list(json.loads(got["message"]["content"])) == ["ok"]
        else:
            check_call(got["message"]["tool_calls"][0])


def test_no_tools_no_choice(small):
    """llama-index sends tool_choice "required" without tools."""
    assert ask(small, tool_choice="required", max_tokens=5)["message"]["content"]
    assert ask(small, tools=[], tool_choice="required", max_tokens=5)["message"]["content"]
    assert ask(small, tools=[LIGHT], tool_choice="none", max_tokens=5)["message"]["content"]


@pytest.mark.parametrize("parameters, words", [
    ({"type": "object", "properties": {"a": {"type": "strin"}}}, "tool 'f': properties.a.type"),
    ({"type": "string"}, "tool 'f': no object meets"),
    ({"type": "object", "required": ["a"], "properties": {"a": {"allOf": [{"type": "string"}, {"type": "null"}]}}}, "tool 'f'"),
], ids=["type", "string", "contradiction"])
def test_schemas_that_cannot_be_followed(small, parameters, words):
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    refused = small.http.post("/v1/chat/completions", json={"messages": ASK, "tools": [tool], "tool_choice": "required", "max_tokens": 5})
    assert refused.status_code == 400 and words in refused.json()["error"]["message"], refused.text
    # Where the model decides, a tool of others does not keep it from answering.
    assert ask(small, tools=[tool, LIGHT], max_tokens=5)


@pytest.mark.skipif(SLOWNESS > 1, reason="a prompt of 5,000 tokens takes sanitizers minutes")
def test_28_tools(start):
    """As Open WebUI sends them with every conversation."""
    tools = [{"type": "function", "function": {"name": f"tool_{i}", "parameters": {
        "type": "object", "properties": {"text": {"type": "string"}, "n": {"type": "integer", "format": "int64", "maximum": 18446744073709551615}},
        "required": ["text"], "$schema": "http://json-schema.org/draft-07/schema#"}}} for i in range(28)]
    large = start(os.environ["SMOLLM_TEST_MODEL"], "-c", "8192", "-np", "1")
    got = ask(large, tools=tools, tool_choice="required", temperature=0.7, seed=2, max_tokens=100, parallel_tool_calls=False)
    assert got["message"]["tool_calls"][0]["function"]["name"].startswith("tool_")
    large.stop()


@pytest.fixture(scope="module")
def llama31(start):
    server = start(os.environ["SMOLLM_TEST_MODEL"], "-c", "2048", "-np", "2", "--chat-format", "llama3.1")
    yield server
    server.stop()


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "set_light"}}], ids=str)
def test_required_calls_of_llama31(llama31, choice):
    for seed in range(4):
        got = ask(llama31, tools=[WEATHER, LIGHT, NOTHING], tool_choice=choice, temperature=1, seed=seed)
        calls = got["message"]["tool_calls"]
        assert got["finish_reason"] == "tool_calls" and len(calls) == 1 and not got["message"]["content"]
        check_call(calls[0])
        if isinstance(choice, dict):
            assert calls[0]["function"]["name"] == "set_light"
    # The whole text of the answer is the bare call.
    got = llama31.http.post("/v1/chat/completions", json={"messages": ASK, "tools": [LIGHT], "tool_choice": "required", "max_tokens": 100, "logprobs": True})
    written = "".join(t["token"] for t in got.json()["choices"][0]["logprobs"]["content"])
    assert re.fullmatch(r'\{"name": ?"set_light", ?"parameters": ?\{"on": ?(true|false)\}\}(<\|im_end\|>)?', written), written


def test_a_form_beside_llama31_s_tools(llama31):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}}}
    for seed in range(4):
        got = ask(llama31, tools=[LIGHT], response_format=form, temperature=1, seed=seed)
        if got["finish_reason"] == "stop":
            assert list(json.loads(got["message"]["content"])) == ["ok"]
        else:
            check_call(got["message"]["tool_calls"][0])


def test_history_of_llama31(llama31):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    messages = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}]
    prompt = llama31.http.post("/apply-template", json={"messages": messages, "tools": [LIGHT]}).json()["prompt"]
    assert "Environment: ipython\n" in prompt
    assert '{\n    "type": "function",\n    "function": {\n        "name": "set_light",' in prompt
    assert prompt.endswith('{"name": "get_weather", "parameters": {"city": "Paris"}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\n"Rain."'
                           '<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n')


@pytest.mark.parametrize("pieces", [
    ['{"name"', ': "', "get_weather", '", "para', 'meters":', ' {"city":', ' "Pa', 'ris", "days":', " 3", "}}"],
    ['{\n  "type"', ': "function",\n "name', '": "get', '_weather",\n "parameters"', ": {", '"city": "Par', 'is"', ', "days": 3', "}\n", "}"],
], ids=["short", "spaced"])
def test_calls_that_llama31_makes_itself(start, folder, pieces):
    """The parrot writes a bare call: held to the tool's schema from the name on."""
    from parrot_model import make_parrot
    path = folder / f"llama31-{len(pieces)}.gguf"
    make_parrot(path, pieces)
    server = start(path, "--chat-format", "llama3.1", "-c", "2048", "--temp", "0")

    def calls(parameters, **fields):
        return ask(server, tools=[{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}], max_tokens=60, **fields)

    fits = calls(WEATHER["function"]["parameters"])
    assert fits["finish_reason"] == "tool_calls", fits
    assert json.loads(fits["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris", "days": 3}
    other = calls({"type": "object", "properties": {"city": {"enum": ["Rome"]}}, "required": ["city"]})
    written = other["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(written) == {"city": "Rome"} or re.sub(r"\s", "", '{"city":"Rome"}').startswith(re.sub(r"\s", "", written))
    without = server.http.post("/v1/chat/completions", json={"messages": ASK, "max_tokens": 60}).json()["choices"][0]["message"]
    assert without["content"] == "".join(pieces) and not without.get("tool_calls")
    server.stop()
