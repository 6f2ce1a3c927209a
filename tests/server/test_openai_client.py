"""The real openai package against the server: what it sends, what it reads, which exceptions it raises."""
import math

import openai
import pytest

ASK = [{"role": "user", "content": "How is the weather?"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city",
                                           "parameters": {"type": "object", "properties": {"city": {"type": "string"},
                                                                                           "days": {"type": "integer"}}}}}]
TEXT = "Grüße 🦜!"


def test_models(parrot):
    client = parrot.openai()
    models = client.models.list().data
    assert [model.id for model in models] == ["parrot-1"]
    assert client.models.retrieve("parrot-1").owned_by == "smollm"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_chat(parrot):
    answer = parrot.openai().chat.completions.create(model="any", messages=ASK, tools=TOOLS, max_tokens=100)
    choice = answer.choices[0]
    assert answer.model == "parrot-1" and answer.object == "chat.completion"
    assert choice.message.content == TEXT
    assert choice.message.reasoning_content.strip() == "Let me see."
    assert choice.finish_reason == "tool_calls"
    call, = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert call.function.arguments == '{"city": "Paris", "days": 3}' and call.id
    assert answer.usage.completion_tokens == 17
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 17
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0


def test_chat_stream(parrot):
    stream = parrot.openai().chat.completions.create(model="any", messages=ASK, tools=TOOLS, max_tokens=100, stream=True,
                                                     stream_options={"include_usage": True})
    chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1 and all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert all(chunk.model == "parrot-1" and chunk.system_fingerprint for chunk in chunks)
    first = chunks[0].choices[0].delta
    assert (first.role, first.content) == ("assistant", "")
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(d.content or "" for d in deltas) == TEXT
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas).strip() == "Let me see."
    calls = [call for d in deltas for call in d.tool_calls or []]
    assert {call.index for call in calls} == {0}
    assert [call.function.name for call in calls if call.function.name] == ["get_weather"]
    assert [call.type for call in calls if call.id] == ["function"]
    assert "".join(call.function.arguments for call in calls) == '{"city": "Paris", "days": 3}'
    assert len(calls) > 2  # in pieces
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons[-1] == "tool_calls" and set(reasons[:-1]) == {None}
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 17
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].timings["predicted_n"] == 17


def test_tools_not_offered(parrot):
    answer = parrot.openai().chat.completions.create(model="any", messages=ASK, tools=TOOLS, tool_choice="none",
                                                     max_tokens=100)
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content.startswith(TEXT)


def test_tool_results_are_taken(parrot):
    messages = [*ASK, {"role": "assistant", "content": None,
                       "tool_calls": [{"id": "c1", "type": "function",
                                       "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]
    answer = parrot.openai().chat.completions.create(model="any", messages=messages, tools=TOOLS, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"


def test_stop_and_length(parrot):
    client = parrot.openai()
    answer = client.chat.completions.create(model="any", messages=ASK, max_tokens=100, stop=["🦜", "never"])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Grüße ", "stop")
    answer = client.chat.completions.create(model="any", messages=ASK, max_completion_tokens=5, max_tokens=100)
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (5, "length")
    stream = client.chat.completions.create(model="any", messages=ASK, max_tokens=100, stop="e ", stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream) == "Grüß"


def test_several_choices(parrot):
    client = parrot.openai()
    answer = client.chat.completions.create(model="any", messages=ASK, max_tokens=100, n=3, tool_choice="none",
                                            stop="<tool")
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {TEXT}
    assert answer.usage.completion_tokens % 3 == 0
    texts = ["", "", ""]
    for chunk in client.chat.completions.create(model="any", messages=ASK, max_tokens=10, n=3, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [texts[0]] * 3 and TEXT.startswith(texts[0]) and texts[0]


def test_logprobs(parrot):
    client = parrot.openai()
    answer = client.chat.completions.create(model="any", messages=ASK, max_tokens=9, logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode().endswith("Grüße 🦜")
    assert all(-0.1 < token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)
    assert all(token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob for token in tokens)
    streamed = []
    for chunk in client.chat.completions.create(model="any", messages=ASK, max_tokens=9, logprobs=True, top_logprobs=2,
                                                stream=True):
        if chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    assert [(t.token, t.logprob) for t in streamed] == [(t.token, t.logprob) for t in tokens]


def test_completions(parrot):
    client = parrot.openai()
    answer = client.completions.create(model="any", prompt="a", max_tokens=3, logprobs=2)
    assert answer.object == "text_completion" and answer.choices[0].text == "<think>Let me see."
    logprobs = answer.choices[0].logprobs
    assert logprobs.tokens == ["<think>", "Let me", " see."] and logprobs.text_offset == [0, 7, 13]
    assert [len(top) for top in logprobs.top_logprobs] == [2, 2, 2] and len(logprobs.token_logprobs) == 3
    stream = client.completions.create(model="any", prompt="a", max_tokens=3, stream=True,
                                       stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].text for c in chunks if c.choices) == "<think>Let me see."
    assert chunks[-1].usage.completion_tokens == 3
    part = client.completions.create(model="any", prompt="a", max_tokens=6, logprobs=0).choices[0].logprobs
    assert part.tokens[-1] == r"bytes:\xc3" and part.top_logprobs[-1] == {}
    several = client.completions.create(model="any", prompt=["a", "b"], max_tokens=2, n=2, echo=True)
    assert [c.text for c in several.choices] == ["a<think>Let me"] * 2 + ["b<think>Let me"] * 2
    assert several.usage.prompt_tokens == 2 and several.usage.completion_tokens == 8
    ids = client.completions.create(model="any", prompt=[64, 65], max_tokens=1)
    assert ids.usage.prompt_tokens == 2


def test_thinking_switch(parrot):
    answer = parrot.openai().chat.completions.create(
        model="any", messages=ASK, max_tokens=2, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    shown = parrot.http.post("/apply-template", json={"messages": ASK,
                                                      "chat_template_kwargs": {"enable_thinking": False}}).json()
    assert shown["prompt"].endswith("<think>\n\n</think>\n") and "/no_think" in shown["prompt"]
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("fields, error, param", [
    ({"temperature": -1}, openai.BadRequestError, "temperature"),
    ({"max_tokens": -2}, openai.BadRequestError, "max_tokens"),
    ({"n": 9}, openai.BadRequestError, "n"),
    ({"logit_bias": {"99999": 1}}, openai.BadRequestError, "logit_bias"),
    ({"top_logprobs": 3}, openai.BadRequestError, "top_logprobs"),
    ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}, openai.BadRequestError, "tool_choice"),
    ({"tools": TOOLS, "tool_choice": "perhaps"}, openai.BadRequestError, "tool_choice"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, openai.BadRequestError, "response_format"),
    ({"messages": []}, openai.BadRequestError, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, openai.BadRequestError, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
     openai.BadRequestError, "messages[0].content[0]"),
])
def test_refusals(parrot, fields, error, param):
    with pytest.raises(error) as caught:
        parrot.openai().chat.completions.create(**{"model": "any", "messages": ASK, "max_tokens": 1, **fields})
    assert caught.value.param == param and caught.value.type == "invalid_request_error"


def test_context_exceeded(parrot):
    with pytest.raises(openai.BadRequestError) as caught:
        parrot.openai().chat.completions.create(model="any", messages=[{"role": "user", "content": "a" * 5000}])
    assert caught.value.code == "context_length_exceeded"
    import re
    numbers = [int(n) for n in re.findall(r"\d+", caught.value.body["message"])]
    assert len(numbers) == 3 and numbers[0] > numbers[1] == numbers[2] == 4096


def test_keys(start, parrot_path, folder):
    keys = folder / "keys"
    keys.write_text("# ours\nfirst-key\n\nsecond-key\n")
    server = start(parrot_path, "--api-key-file", keys, "--api-key", "third-key")
    for key in ("first-key", "second-key", "third-key"):
        assert server.openai(api_key=key).models.list().data
    for key in ("", "first", "# ours", "first-key2"):
        with pytest.raises(openai.AuthenticationError):
            server.openai(api_key=key or "x").models.list()
    assert server.http.get("/health").status_code == 200
    assert server.http.get("/").status_code == 200
    assert server.http.get("/props").status_code == 401
    assert server.http.get("/slots", headers={"x-api-key": "second-key"}).status_code == 200
    answer = server.http.post("/v1/chat/completions", json={"messages": ASK})
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    server.stop()
    assert "first-key" not in server.log()


def test_real_model(small):
    client = small.openai()
    ask = [{"role": "user", "content": "What is the capital of France?"}]
    whole = client.chat.completions.create(model="x", messages=ask, max_tokens=12, temperature=0)
    assert whole.choices[0].message.content
    stream = client.chat.completions.create(model="x", messages=ask, max_tokens=12, temperature=0, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole.choices[0].message.content
    seeded = [client.chat.completions.create(model="x", messages=ask, max_tokens=12, temperature=1.5, seed=7)
              for _ in range(2)]
    assert seeded[0].choices[0].message.content == seeded[1].choices[0].message.content
    unseeded = {client.completions.create(model="x", prompt="Once", max_tokens=12, temperature=1.5).choices[0].text
                for _ in range(3)}
    assert len(unseeded) > 1
    logprobs = client.completions.create(model="x", prompt="The capital of France is", max_tokens=1, temperature=0,
                                         logprobs=3).choices[0].logprobs
    assert logprobs.tokens == [" Paris"] and math.exp(logprobs.token_logprobs[0]) > 0.5
