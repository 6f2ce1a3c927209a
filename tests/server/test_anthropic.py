"""Anthropic's messages: what its own package sends and reads, and what Claude Code adds."""
import json

import anthropic
import httpx2
import pytest

WEATHER = {"name": "get_weather", "description": "Weather of a city.",
           "input_schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
                            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}
ASK = [{"role": "user", "content": "How is the weather?"}]
THINK = {"type": "enabled", "budget_tokens": 1024}


def client(server, **options):
    return anthropic.Anthropic(base_url=server.url, max_retries=0, timeout=60, http_client=httpx2.Client(trust_env=False),
                               **{"api_key": "none", **options})


def test_whole(parrot):
    message = client(parrot).messages.create(model="claude-any", max_tokens=100, messages=ASK, tools=[WEATHER], thinking=THINK)
    assert (message.type, message.role, message.model, message.stop_reason) == ("message", "assistant", "parrot-1", "tool_use")
    assert message.id.startswith("msg_") and message.stop_sequence is None
    thinking, text, call = message.content
    assert (thinking.type, thinking.thinking.strip()) == ("thinking", "Let me see.") and thinking.signature
    assert (text.type, text.text) == ("text", "Grüße 🦜!")
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris", "days": 3}) and call.id
    usage = message.usage
    assert usage.output_tokens == 17 and usage.input_tokens > 0 and usage.output_tokens_details.thinking_tokens > 0
    again = client(parrot).messages.create(model="claude-any", max_tokens=100, messages=ASK, tools=[WEATHER], thinking=THINK).usage
    assert again.input_tokens + again.cache_read_input_tokens == usage.input_tokens + usage.cache_read_input_tokens
    assert again.cache_read_input_tokens > 0 and again.input_tokens > 0


def test_stream(parrot):
    """Blocks one after another; put together they are the whole answer."""
    types, blocks = [], []
    with client(parrot).messages.stream(model="m", max_tokens=100, messages=ASK, tools=[WEATHER], thinking=THINK) as stream:
        for event in stream:
            types.append(event.type)
            if event.type == "content_block_start":
                blocks.append(event.index)
        message = stream.get_final_message()
    assert types[0] == "message_start" and types[-1] == "message_stop"
    assert blocks == [0, 1, 2] and types.count("content_block_stop") == 3
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[0].thinking.strip() == "Let me see." and message.content[0].signature
    assert message.content[1].text == "Grüße 🦜!" and message.content[2].input == {"city": "Paris", "days": 3}
    assert message.stop_reason == "tool_use" and message.usage.output_tokens == 17


def test_events_have_names(parrot):
    """The raw stream: each event's name is its type, one block is open at a time."""
    body = {"model": "m", "max_tokens": 100, "messages": ASK, "stream": True, "thinking": THINK}
    with parrot.http.stream("POST", "/v1/messages?beta=true", json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.headers["content-type"] == "text/event-stream"
    open_block = None
    for name, data in zip(lines[::2], lines[1::2], strict=True):
        event = json.loads(data.removeprefix("data: "))
        assert name == "event: " + event["type"]
        if event["type"] == "content_block_start":
            assert open_block is None
            open_block = event["index"]
        elif event["type"] == "content_block_delta":
            assert event["index"] == open_block
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_block
            open_block = None


def test_stop_reasons(small):
    ask = client(small).messages.create
    assert ask(model="m", max_tokens=3, messages=ASK).stop_reason == "max_tokens"
    stopped = ask(model="m", max_tokens=60, messages=ASK, stop_sequences=["e"], extra_body={"temperature": 0})
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "e") and "e" not in stopped.content[0].text


def render(server, **body):
    return client(server).messages.count_tokens(model="m", **body).input_tokens


def test_history(small):
    """Calls, results, system prompts in blocks and between messages, thinking: all of it reaches the prompt."""
    plain = render(small, messages=ASK)
    assert plain > 0
    call = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "I look."},
                                             {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Paris"}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"}]}
    with_call = render(small, messages=[*ASK, call])
    assert with_call > plain + 10 and render(small, messages=[*ASK, call, result]) > with_call
    blocks = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": True,
                                           "content": [{"type": "text", "text": "Sunny"}]}, {"type": "text", "text": "And now?"}]}
    assert render(small, messages=[*ASK, call, blocks]) > render(small, messages=[*ASK, call, result])
    failed = {"role": "user", "content": [{**result["content"][0], "is_error": True}]}
    assert render(small, messages=[*ASK, call, failed]) > render(small, messages=[*ASK, call, result])
    assert render(small, messages=[*ASK, call, {"role": "system", "content": "Be brief."}, result]) > with_call
    system = [{"type": "text", "text": "You are kind.", "cache_control": {"type": "ephemeral"}}]
    assert render(small, messages=ASK, system=system) == render(small, messages=ASK, system="You are kind.") != plain
    assert render(small, messages=ASK, tools=[WEATHER]) > plain + 20
    hosted = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert render(small, messages=ASK, tools=[hosted]) == plain


def test_accounting_block_keeps_the_cache(small):
    """Claude Code's first block changes with every request; it must not hide the rest from the prefix cache."""
    rest = {"type": "text", "text": "You are a careful assistant for programs. " * 20}

    def usage(version):
        system = [{"type": "text", "text": f"x-anthropic-billing-header: cc_version={version};"}, rest]
        return client(small).messages.create(model="m", max_tokens=1, system=system, messages=ASK).usage

    first, second = usage("1.2.3"), usage("9.8.7")
    assert second.cache_read_input_tokens > 0.9 * (first.input_tokens + first.cache_read_input_tokens)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}], ids=str)
def test_required_call(small, choice):
    message = client(small).messages.create(model="m", max_tokens=200, messages=ASK, tools=[WEATHER], extra_body={"temperature": 1},
                                            tool_choice={**choice, "disable_parallel_tool_use": True})
    call, = message.content
    assert message.stop_reason == "tool_use" and call.name == "get_weather" and isinstance(call.input["city"], str)


def test_no_tools(small):
    body = {"messages": ASK, "tools": [WEATHER]}
    assert render(small, **body, tool_choice={"type": "none"}) == render(small, messages=ASK)


def test_structured_output(small):
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 99}}, "required": ["age"],
              "additionalProperties": False}
    for field in ({"output_config": {"format": {"type": "json_schema", "schema": schema}}},
                  {"output_format": {"type": "json_schema", "schema": schema}}):
        answer = small.http.post("/v1/messages", json={"model": "m", "max_tokens": 60, "messages": ASK, **field}).json()
        assert 1 <= json.loads(answer["content"][0]["text"])["age"] <= 99


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}


@pytest.mark.parametrize("change, word", [
    ({"messages": None}, "messages"), ({"messages": "x"}, "messages"), ({"messages": [{"role": "judge", "content": ""}]}, "role"),
    ({"messages": [{"role": "user"}]}, "content"), ({"messages": [{"role": "user", "content": [IMAGE]}]}, "image"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [IMAGE]}]}]}, "image"),
    ({"max_tokens": -5}, "max_tokens"), ({"temperature": "warm"}, "temperature"), ({"tools": [{"description": "x"}]}, "name"),
    ({"tool_choice": {"type": "perhaps"}}, "tool_choice"), ({"tool_choice": {"type": "tool", "name": "other"}}, "tool_choice"),
    ({"thinking": {"type": "loud"}}, "thinking"), ({"stop_sequences": [1]}, "stop_sequences"), ({"system": 5}, "system"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config"), ({"messages": [{"role": "user", "content": "x " * 4000}]}, "prompt is too long"),
])
def test_wrong_fields(small, change, word):
    """Each in Anthropic's form, with the name of the field."""
    answer = small.http.post("/v1/messages", json={"model": "m", "max_tokens": 5, "messages": ASK, **change})
    body = answer.json()
    assert answer.status_code == 400 and body["type"] == "error" and body["request_id"] == answer.headers["x-request-id"] == answer.headers["request-id"]
    assert body["error"]["type"] == "invalid_request_error" and word in body["error"]["message"]


def test_other_errors(small, start, parrot_path):
    for path, status, kind in (("/v1/messages/other", 404, "not_found_error"), ("/v1/messages", 405, "invalid_request_error")):
        answer = small.http.get(path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    server = start(parrot_path, "--api-key", "secret")
    with pytest.raises(anthropic.AuthenticationError):
        client(server).messages.create(model="m", max_tokens=5, messages=ASK)
    assert client(server, api_key="secret").messages.create(model="m", max_tokens=5, messages=ASK).content
    server.stop()


def test_claude_code(small):
    """The fields, headers and turns that Claude Code sends."""
    assert small.http.head("/").status_code == 200
    body = {"model": "claude-sonnet-4", "max_tokens": 32000, "temperature": 1, "stream": True,
            "metadata": {"user_id": "u"}, "context_management": {"edits": []}, "thinking": {"type": "adaptive"},
            "output_config": {"effort": "max"}, "tools": [WEATHER], "tool_choice": {"type": "auto"},
            "system": [{"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"},
                                                      {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]},
                         {"role": "system", "content": "The user is in a hurry."}]}
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14"}
    body["stop_sequences"] = ["."]
    answer = small.http.post("/v1/messages?beta=true", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200 and answer.text.rstrip().endswith('data: {"type":"message_stop"}')
