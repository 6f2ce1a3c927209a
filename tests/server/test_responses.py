"""OpenAI's Responses: what the openai package sends and reads, and what Codex adds."""
import json

import openai
import pytest

ASK = "How is the weather?"
WEATHER = {"type": "function", "name": "get_weather", "description": "Weather of a city.", "strict": True,
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                          "required": ["city", "days"], "additionalProperties": False}}


def test_whole(parrot):
    response = parrot.openai().responses.create(model="any", input=ASK, tools=[WEATHER], reasoning={"effort": "low"})
    assert (response.object, response.status, response.model) == ("response", "completed", "parrot-1")
    assert response.id.startswith("resp_") and response.error is None and response.incomplete_details is None
    thinking, message, call = response.output
    assert (thinking.type, thinking.content[0].text.strip(), thinking.summary) == ("reasoning", "Let me see.", [])
    assert message.id.startswith("msg_") and response.output_text == "Grüße 🦜!"
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Paris", "days": 3})
    usage = response.usage
    assert usage.output_tokens == 17 and usage.total_tokens == usage.input_tokens + 17
    assert usage.output_tokens_details.reasoning_tokens > 0 and usage.input_tokens_details.cached_tokens >= 0
    assert response.tools[0].name == "get_weather" and response.tool_choice == "auto" and response.parallel_tool_calls


def events_of(server, **body):
    with server.http.stream("POST", "/v1/responses", json={"model": "m", "stream": True, **body}) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.status_code == 200
    events = []
    for name, data in zip(lines[::2], lines[1::2], strict=True):
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == "event: " + events[-1]["type"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


PART = ["response.output_item.added", "response.content_part.added"]
ORDER = ["response.created", "response.in_progress",
         *PART, "response.reasoning_text.delta", "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
         *PART, "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
         "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done",
         "response.output_item.done", "response.completed"]


def test_order_of_events(parrot):
    events = events_of(parrot, input=ASK, tools=[WEATHER], reasoning={"effort": "high"})
    kinds = [event["type"] for event in events]
    assert [kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]] == ORDER
    final = events[-1]["response"]
    items = {item["id"]: item for item in final["output"]}
    for event in events:
        if "item_id" in event:
            assert final["output"][event["output_index"]]["id"] == event["item_id"]
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    arguments = "".join(event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta")
    kinds = {item["type"]: item for item in items.values()}
    assert text == kinds["message"]["content"][0]["text"] and arguments == kinds["function_call"]["arguments"]
    assert final["status"] == "completed" and final["usage"]["output_tokens"] == 17


def test_summary(parrot):
    """Clients that show summaries alone get the thinking as one."""
    events = events_of(parrot, input=ASK, reasoning={"effort": "low", "summary": "auto"})
    deltas = [event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta"]
    assert "".join(deltas).strip() == "Let me see." == events[-1]["response"]["output"][0]["summary"][0]["text"].strip()


def test_client_stream(parrot):
    with parrot.openai().responses.stream(model="m", input=ASK, tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text == "Grüße 🦜!" and [item.type for item in final.output] == ["reasoning", "message", "function_call"]


def test_previous_response(small):
    """Turns by id, and by items, read the same prompt."""
    client = small.openai()
    first = client.responses.create(model="m", input="My name is Ada.", temperature=0, max_output_tokens=20, instructions="Be brief.")
    by_id = client.responses.create(model="m", input="What is my name?", previous_response_id=first.id, temperature=0, max_output_tokens=20)
    items = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": first.output_text},
             {"role": "user", "content": "What is my name?"}]
    by_items = client.responses.create(model="m", input=items, temperature=0, max_output_tokens=20)
    assert by_id.output_text == by_items.output_text and by_id.usage.input_tokens == by_items.usage.input_tokens
    assert by_id.previous_response_id == first.id
    third = client.responses.create(model="m", input="And now?", previous_response_id=by_id.id, max_output_tokens=5)
    assert third.usage.input_tokens > by_id.usage.input_tokens
    assert client.responses.retrieve(third.id).output_text == third.output_text
    assert [item.type for item in client.responses.input_items.list(third.id).data] == ["message"]
    client.responses.delete(first.id)
    for attempt in (lambda: client.responses.retrieve(first.id),
                    lambda: client.responses.create(model="m", input="x", previous_response_id=by_id.id),
                    lambda: client.responses.create(model="m", input="x", previous_response_id="resp_unknown")):
        with pytest.raises(openai.NotFoundError):
            attempt()
    unkept = client.responses.create(model="m", input="x", store=False, max_output_tokens=2)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unkept.id)


def test_kept_for_one_key(start, parrot_path, folder):
    (folder / "two-keys").write_text("ann:one\nbob:two\n")
    server = start(parrot_path, "--api-key-file", folder / "two-keys")
    one, two = server.openai(api_key="one"), server.openai(api_key="two")
    response = one.responses.create(model="m", input="x")
    assert one.responses.retrieve(response.id).id == response.id
    with pytest.raises(openai.NotFoundError):
        two.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        two.responses.create(model="m", input="x", previous_response_id=response.id)
    server.log_line("key=ann")
    server.stop()


def count(server, **body):
    answer = server.http.post("/v1/responses/input_tokens", json={"model": "m", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["input_tokens"]


def test_input_items(small):
    """Every kind of item reaches the prompt; what the assistant did in a row is one turn."""
    plain = count(small, input=ASK)
    assert plain == count(small, input=[{"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASK}]}])
    call = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "Sunny"}
    parts = {**result, "output": [{"type": "input_text", "text": "Sunny"}]}
    user = {"role": "user", "content": ASK}
    assert count(small, input=[user, call]) > plain + 10
    assert count(small, input=[user, call, result]) == count(small, input=[user, call, parts]) > count(small, input=[user, call])
    said = {"role": "assistant", "content": "Let me see."}
    assert count(small, input=[user, said, call]) - plain < count(small, input=[user, said]) + count(small, input=[user, call]) - 2 * plain - 2
    developers = [{"role": "developer", "content": "One."}, {"role": "developer", "content": "Two."}]
    assert count(small, input=[*developers, user]) > count(small, input=[developers[0], user])
    assert count(small, input=[user, {"type": "web_search_call", "id": "w", "status": "completed"}]) == plain
    assert count(small, input=ASK, tools=[WEATHER]) > plain + 20
    inner = {"type": "namespace", "name": "mcp__x", "description": "", "tools": [WEATHER]}
    assert count(small, input=ASK, tools=[inner, {"type": "web_search"}]) == count(small, input=ASK, tools=[WEATHER])


def test_calls(small):
    client = small.openai()
    required = client.responses.create(model="m", input=ASK, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False,
                                       max_output_tokens=200)
    call, = required.output
    assert call.name == "get_weather" and set(json.loads(call.arguments)) == {"city", "days"}
    inner = {"type": "namespace", "name": "mcp__x", "description": "", "tools": [WEATHER]}
    answer = small.http.post("/v1/responses", json={"model": "m", "input": ASK, "tools": [inner], "parallel_tool_calls": False,
                                                    "tool_choice": {"type": "function", "name": "get_weather"}}).json()
    assert [(item["name"], item["namespace"]) for item in answer["output"]] == [("get_weather", "mcp__x")]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}
    other = {**WEATHER, "name": "other"}
    restricted = client.responses.create(model="m", input=ASK, tools=[other, WEATHER], tool_choice=allowed, max_output_tokens=300)
    assert {item.name for item in restricted.output if item.type == "function_call"} == {"get_weather"}


def test_format(small):
    from pydantic import BaseModel, Field

    class Person(BaseModel):
        name: str = Field(max_length=10)
        age: int = Field(ge=0, le=150)

    parsed = small.openai().responses.parse(model="m", input="Ada is 36.", text_format=Person, max_output_tokens=200).output_parsed
    assert 0 <= parsed.age <= 150 and len(parsed.name) <= 10
    answer = small.openai().responses.create(model="m", input="x", text={"format": {"type": "json_object"}}, max_output_tokens=200)
    assert answer.status == "incomplete" or isinstance(json.loads(answer.output_text), dict)


def test_logprobs(small):
    answer = small.openai().responses.create(model="m", input=ASK, include=["message.output_text.logprobs"], top_logprobs=2, max_output_tokens=4)
    logprobs = answer.output[0].content[0].logprobs
    assert len(logprobs) == 4 and all(len(entry.top_logprobs) == 2 and entry.logprob <= 0 for entry in logprobs)


def test_incomplete(small):
    events = events_of(small, input=ASK, max_output_tokens=2)
    final = events[-1]
    assert final["type"] == "response.incomplete" and final["response"]["status"] == "incomplete"
    assert final["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_telemetry(small):
    """llama-server's: progress while the prompt is read, timings with every piece. Its path needs no model."""
    body = {"input": "This is a test " * 100, "max_output_tokens": 4, "stream": True, "return_progress": True, "timings_per_token": True}
    with small.http.stream("POST", "/responses", json=body) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    progress = [event for event in events if "prompt_progress" in event]
    assert progress and all(event["type"] == "response.in_progress" for event in progress)
    assert all("timings" in event for event in events if event["type"] == "response.output_text.delta")
    assert events[-1]["timings"]["predicted_n"] == 4


def test_codex(small):
    """The fields that Codex sends, two developer messages first."""
    body = {"model": "gpt-5", "instructions": "You are Codex.", "store": False, "stream": True, "parallel_tool_calls": False,
            "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "client_metadata": {"x": "y"}, "tool_choice": "auto",
            "reasoning": {"effort": "medium", "summary": "auto"}, "text": {"verbosity": "low"}, "max_output_tokens": 5,
            "tools": [WEATHER, {"type": "web_search"}, {"type": "custom", "name": "patch", "format": {"type": "grammar"}}],
            "input": [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "A"}]},
                      {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "B"}]},
                      {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                      {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": None},
                      {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes?"}]},
                      {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on"}]}]}
    answer = small.http.post("/v1/responses", json=body)
    assert answer.status_code == 200 and "response.incomplete" in answer.text or "response.completed" in answer.text


@pytest.mark.parametrize("change, word", [
    ({"input": None}, "input"), ({"input": 5}, "input"), ({"input": [5]}, "input[0]"), ({"input": [{"type": "mystery"}]}, "mystery"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "image"),
    ({"input": [{"role": "judge", "content": "x"}]}, "role"), ({"model": None}, "model"), ({"max_output_tokens": "x"}, "max_output_tokens"),
    ({"background": True}, "background"), ({"conversation": "c"}, "conversation"), ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ({"reasoning": {"effort": "wild"}}, "reasoning.effort"), ({"tools": [{"type": "function"}]}, "name"),
    ({"tool_choice": {"type": "function", "name": "other"}}, "tool_choice"), ({"input": "x " * 4000}, "prompt is too long"),
])
def test_wrong_fields(small, change, word):
    answer = small.http.post("/v1/responses", json={"model": "m", "input": ASK, **change})
    assert answer.status_code == 400 and word in answer.json()["error"]["message"]
