"""Ollama's API: what its own package sends and reads, and what other clients of it do."""
import json

import ollama
import pytest

ASK = [{"role": "user", "content": "How is the weather?"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}}


def client(server):
    return ollama.Client(host=server.url, trust_env=False)


def test_models(small):
    ours = client(small)
    model, = ours.list().models
    assert model.model == "small" and model.size > 1e6 and model.details.format == "gguf"
    for name in ("small", "small:latest", "Small"):
        assert "completion" in ours.show(name).capabilities
    assert small.http.post("/api/show", json={"name": "small"}).json()["model_info"]["general.architecture"] == "llama"
    assert ours.ps().models[0].model == "small" and ours.ps().models[0].context_length == 2048
    assert tuple(map(int, small.http.get("/api/version").json()["version"].split("."))) >= (0, 13, 4)
    assert ours.pull("small").status == "success"
    for attempt in (lambda: ours.show("other"), lambda: ours.pull("other")):
        with pytest.raises(ollama.ResponseError) as refused:
            attempt()
        assert refused.value.status_code == 404 and "other" in refused.value.error
    for attempt in (lambda: ours.delete("small"), lambda: ours.copy("small", "two"), lambda: ours.create("x", from_="small")):
        with pytest.raises(ollama.ResponseError) as refused:
            attempt()
        assert refused.value.status_code == 400


def test_greeting(small, start, parrot_path):
    """Programs that ask for text, and all where there is no page; browsers get the page."""
    assert small.http.get("/", headers={"Accept": "text/plain"}).text == "Ollama is running"
    assert "<html" in small.http.get("/", headers={"Accept": "text/html,*/*"}).text
    assert small.http.head("/").status_code == 200
    server = start(parrot_path, "--no-ui")
    assert server.http.get("/").text == "Ollama is running"
    server.stop()


def test_chat(parrot):
    answer = client(parrot).chat("parrot-1", messages=ASK, tools=[WEATHER], think=True)
    assert answer.message.content == "Grüße 🦜!" and answer.message.thinking.strip() == "Let me see."
    call, = answer.message.tool_calls
    assert call.function.name == "get_weather" and call.function.arguments == {"city": "Paris", "days": 3}
    assert answer.done and answer.done_reason == "stop" and answer.eval_count == 17 and answer.prompt_eval_count > 0
    assert answer.total_duration > 0 and answer.model == "parrot-1"


def test_stream(parrot):
    """A stream unless it is told otherwise; calls come whole."""
    with parrot.http.stream("POST", "/api/chat", json={"model": "parrot-1", "messages": ASK, "tools": [WEATHER]}) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert "".join(line["message"]["content"] for line in lines) == "Grüße 🦜!"
    assert "".join(line["message"].get("thinking", "") for line in lines).strip() == "Let me see."
    calls = [call for line in lines for call in line["message"].get("tool_calls", [])]
    assert [call["function"]["arguments"] for call in calls] == [{"city": "Paris", "days": 3}]
    assert "".join(part.message.content for part in client(parrot).chat("parrot-1", messages=ASK, stream=True)).startswith("Grüße")


def test_thinking_can_be_hidden(parrot):
    answer = client(parrot).chat("parrot-1", messages=ASK, think=False)
    assert not answer.message.thinking


def test_generate(small):
    ours = client(small)
    raw = ours.generate("small", "Once upon a time", raw=True, options={"num_predict": 5, "temperature": 0})
    assert raw.response and raw.done_reason == "length" and raw.eval_count == 5 and not raw.context
    templated = ours.generate("small", "My name is Ada.", system="Be brief.", options={"num_predict": 5, "temperature": 0})
    assert len(templated.context) == templated.prompt_eval_count + 5
    again = ours.generate("small", "Who am I?", context=templated.context, options={"num_predict": 5, "temperature": 0})
    assert again.prompt_eval_count > len(templated.context)
    parts = list(ours.generate("small", "My name is Ada.", system="Be brief.", options={"num_predict": 5, "temperature": 0}, stream=True))
    assert "".join(part.response for part in parts) == templated.response and parts[-1].context == templated.context
    assert ours.generate("small").done_reason == "load"
    assert ours.generate("small", keep_alive=0).done_reason == "unload"


def test_options(small):
    ours = client(small)
    ask = lambda **options: ours.chat("small", messages=ASK, options=options).message.content
    assert ask(seed=1, temperature=2, num_predict=8) == ask(seed=1, temperature=2, num_predict=8) != ask(seed=2, temperature=2, num_predict=8)
    assert "e" not in ask(stop=["e"], num_predict=30)
    nothing = {name: None for name in ("temperature", "top_k", "top_p", "num_ctx", "num_predict", "seed", "stop", "repeat_penalty")}
    body = {"model": "small", "messages": ASK, "stream": False, "options": {**nothing, "num_predict": 3}, "tools": [], "format": "",
            "keep_alive": None, "think": None, "template": None}
    assert small.http.post("/api/chat", json=body).json()["eval_count"] == 3
    untyped = small.http.post("/api/chat", content=json.dumps(body), headers={"Content-Type": ""})
    assert untyped.status_code == 200


def test_format(small):
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 99}}, "required": ["age"]}
    answer = client(small).chat("small", messages=ASK, format=schema, options={"num_predict": 60})
    assert 1 <= json.loads(answer.message.content)["age"] <= 99
    answer = client(small).generate("small", "x", format="json", options={"num_predict": 300})
    assert answer.done_reason == "length" or isinstance(json.loads(answer.response), dict)


def test_logprobs(small):
    answer = client(small).chat("small", messages=ASK, logprobs=True, top_logprobs=2, options={"num_predict": 3})
    assert len(answer.logprobs) == 3 and all(len(entry.top_logprobs) == 2 for entry in answer.logprobs)


def test_history(small):
    """Calls and results of earlier turns reach the prompt."""
    def tokens(messages):
        return client(small).chat("small", messages=messages, options={"num_predict": 1}).prompt_eval_count

    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]}
    assert tokens([*ASK, call, {"role": "tool", "content": "Sunny", "tool_name": "get_weather"}]) > tokens([*ASK, call]) > tokens(ASK) + 10


@pytest.mark.parametrize("path, change, word", [
    ("chat", {"model": None}, "model"), ("chat", {"messages": "x"}, "messages"), ("chat", {"messages": [{"role": "judge"}]}, "role"),
    ("chat", {"messages": [{"role": "user", "content": "x", "images": ["AA=="]}]}, "image"), ("chat", {"think": "loudly"}, "think"),
    ("chat", {"format": "xml"}, "format"), ("chat", {"options": {"temperature": "warm"}}, "temperature"), ("chat", {"options": 5}, "options"),
    ("chat", {"messages": [{"role": "user", "content": "x " * 4000}]}, "prompt is too long"), ("chat", {"tools": [{}]}, "tools[0]"),
    ("generate", {"prompt": "x", "suffix": "y"}, "suffix"), ("generate", {"prompt": "x", "images": ["AA=="]}, "image"),
    ("generate", {"prompt": 5}, "prompt"), ("generate", {"prompt": "x", "context": ["a"]}, "context"),
    ("generate", {"prompt": "x", "template": "{{ .Prompt }}"}, "template"),
])
def test_wrong_fields(small, path, change, word):
    """Each is {"error": text}, with the name of the field."""
    answer = small.http.post("/api/" + path, json={"model": "small", "messages": ASK, **change})
    assert answer.status_code == 400 and list(answer.json()) == ["error"] and word in answer.json()["error"]


def test_unknown_path(small):
    assert small.http.get("/api/nothing").json() == {"error": "there is nothing at this path"}
    assert small.http.get("/api/chat").status_code == 405
