"""The routes beside OpenAI's, and JSON that is not what it should be."""
import json
import math
import os
import re
import socket

import pytest

from server_process import keep_reading, post

ASK = [{"role": "user", "content": "x"}]
JSON = {"Content-Type": "application/json"}


def refuse(server, path, body, status=400):
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    answer = server.http.post(path, content=content, headers=JSON)
    assert answer.status_code == status, answer.text[:300]
    return answer.json()["error"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/completion", "/tokenize"])
@pytest.mark.parametrize("body", [
    "", " ", "null", "[]", '"x"', "5", "{", '{"a":1,}', "{'a':1}", '{"a":1}x', '{"a":NaN}', '{"a":01}', '{"a":tru}',
    '{"a":1,"a":2}', '{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":"\\udc00\\ud800"}', '{"a":"\x01"}', b'{"a":"\xff"}',
    b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\0"}', b"\xef\xbb\xbf{}", '{"a":1e999}',
    '{"a":' + "[" * 100000 + "]" * 100000 + "}", "[" * 1000000, '{"a":[' + "[]," * 70000 + "1]}",
    '{"a":[' + "1," * 1100000 + "1]}",
], ids=range(28))
def test_broken_json(parrot, path, body):
    error = refuse(parrot, path, body)
    assert error["message"] and error["type"] == "invalid_request_error"


@pytest.mark.parametrize("body, param", [
    ('{"prompt": "a", "n_predict": 1, "prompt": "b"}', "prompt"),
    ('{"messages": [{"role": "user", "content": "a", "content": "b"}]}', "content"),
])
def test_a_name_given_twice_is_refused(parrot, body, param):
    path = "/completion" if "prompt" in body else "/v1/chat/completions"
    answer = parrot.http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param and "twice" in answer.json()["error"]["message"]


def test_no_limit_is_minus_one(parrot):
    """As llama-server has it: until the context is full, or the model ends its answer."""
    answer = parrot.http.post("/completion", json={"prompt": "a", "n_predict": -1, "stop": ["see"]})
    assert answer.status_code == 200 and answer.json()["content"]
    refused = parrot.http.post("/completion", json={"prompt": "a", "n_predict": -2})
    assert refused.status_code == 400


def test_depth(parrot):
    """64 levels are read, 65 are not, whatever the parser itself could do; brackets in strings do not count."""
    for depth, refused in ((63, False), (64, True)):
        body = '{"content":"a[{[{\\"[","x":' + "[" * depth + "]" * depth + "}"
        answer = parrot.http.post("/tokenize", content=body, headers=JSON)
        assert answer.status_code == (400 if refused else 200)
        assert not refused or "64 levels" in answer.json()["error"]["message"]


@pytest.mark.parametrize("field, values", [
    ("temperature", [-0.1, 101, "1", True, [], 1e300]),
    ("top_p", [-0.1, 1.1]),
    ("min_p", [2]),
    ("top_k", [-2, 1.5, 1 << 25]),
    ("repeat_penalty", [0, -1]),
    ("presence_penalty", [-2.1, 3]),
    ("frequency_penalty", [-2.1, "x"]),
    ("seed", [1.5, 1 << 63, -(1 << 63) - 1, 10 ** 30, -10 ** 30, "7"]),
    ("stream", [1, "true"]),
    ("max_tokens", [-2, 1.5, "5", 1 << 40, 10 ** 25, True]),
    ("n", [0, -1, 9, 1.5, 10 ** 20]),
    ("stop", [5, {}, [1], ["a"] * 17, "x" * 2000]),
    ("logit_bias", [5, {"x": "y"}, {"-1": 1}, {"99999999999999999999": 1}, {"5": "x"}, {"5": 2000}, [[1]], [5]]),
    ("stream_options", [5, []]),
    ("model", [5, {}]),
    ("grammar", [5, ["root ::= x"]]),
    ("json_schema", [5, ["x"]]),
    ("guided_choice", ["x", [], [5], [""]]),
    ("structured_outputs", [5, {}, {"choice": []}]),
    ("response_format", [{"type": "json_schema"}, {"type": "xml"}, {}, 5]),
])
def test_ranges(parrot, field, values):
    for value in values:
        for path, prompt in (("/v1/chat/completions", {"messages": ASK}), ("/v1/completions", {"prompt": "a"})):
            error = refuse(parrot, path, {"max_tokens": 1, **prompt, field: value})
            assert re.split(r"[.[]", error["param"])[0] == field, (field, value, error)


# Beyond 16, 32, 53, 63 and 64 bits, and beyond what a double holds exactly.
ABSURD = [-2, -2**31, -2**31 - 1, -2**63, -2**63 - 1, -10**30, 2**31, 2**32 - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30,
          1e308, -1e308, 0.5]


@pytest.mark.parametrize("path, field, more", [
    ("/v1/chat/completions", "n", {}), ("/v1/chat/completions", "max_tokens", {}),
    ("/v1/chat/completions", "max_completion_tokens", {}), ("/v1/chat/completions", "top_logprobs", {"logprobs": True}),
    ("/v1/chat/completions", "top_k", {}), ("/v1/chat/completions", "repeat_last_n", {}),
    ("/v1/completions", "n", {}), ("/v1/completions", "max_tokens", {}), ("/v1/completions", "logprobs", {}),
    ("/v1/completions", "best_of", {}), ("/completion", "n_predict", {}), ("/completion", "max_tokens", {}),
    ("/completion", "n_probs", {}), ("/completion", "repeat_last_n", {}),
])
def test_absurd_counts(parrot, path, field, more):
    for value in ABSURD:
        error = refuse(parrot, path, {"messages": ASK, "prompt": "a", **more, field: value})
        assert error["param"] == field and error["type"] == "invalid_request_error", (value, error)
    if field in ("n", "best_of"):
        assert refuse(parrot, path, {"messages": ASK, "prompt": "a", field: 0})["param"] == field


def test_unknown_and_null_fields_are_ignored(parrot):
    body = {"messages": ASK, "max_tokens": 1, "user": "u", "metadata": {"a": 1}, "no_such": [1], "temperature": None,
            "stop": None, "tools": None, "n": 1.0, "seed": 5}
    assert parrot.http.post("/v1/chat/completions", json=body).status_code == 200
    assert parrot.http.post("/v1/chat/completions", json={**body, "no_such": 10 ** 30}).status_code == 200


@pytest.mark.parametrize("messages, param", [
    (None, "messages"), ("x", "messages"), ([], "messages"), ([5], "messages[0]"),
    ([{"content": "x"}], "messages[0].role"), ([{"role": "user"}], "messages[0].content"),
    ([{"role": "user", "content": 5}], "messages[0].content"),
    ([*ASK, {"role": "user", "content": [{"type": "text"}]}], "messages[1].content[0]"),
    ([*ASK, {"role": "user", "content": [5]}], "messages[1].content[0]"),
    ([*ASK, {"role": "user", "content": [{"type": "input_audio"}]}], "messages[1].content[0]"),
    ([{"role": "assistant", "content": "x", "reasoning": 5}], "messages[0].reasoning"),
    ([{"role": "assistant", "tool_calls": 5}], "messages[0].tool_calls"),
    ([{"role": "assistant", "tool_calls": [{}]}], "messages[0].tool_calls[0]"),
])
def test_messages(parrot, messages, param):
    assert refuse(parrot, "/v1/chat/completions", {"messages": messages, "max_tokens": 1})["param"] == param


def test_content_parts_are_flattened(parrot):
    parts = [{"type": "text", "text": "He"}, {"type": "text", "text": "llo"}]
    both = [parrot.http.post("/apply-template", json={"messages": [{"role": "user", "content": content}]}).json()
            for content in (parts, "Hello")]
    assert both[0] == both[1] and "Hello" in both[0]["prompt"]


def test_tools_in_the_prompt(parrot):
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"x": 0.1, "y": True}}}]
    prompt = parrot.http.post("/apply-template", json={"messages": ASK, "tools": tools}).json()["prompt"]
    assert "{'name': 'f', 'description': 'd', 'parameters': {'x': 0.1, 'y': True}}" in prompt
    for key, value in (("xml_tools", [tools[0]["function"]]), ("python_tools", ["def f(x): ..."])):
        prompt = parrot.http.post("/apply-template", json={"messages": ASK, "chat_template_kwargs": {key: value}}).json()
        assert "<tools>" in prompt["prompt"]
    for value in (5, [5], [{"type": "function"}]):
        assert refuse(parrot, "/v1/chat/completions", {"messages": ASK, "tools": value})["param"].startswith("tools")
    for choice in ({"type": "function", "function": {"name": "g"}}, "x", 5):
        body = {"messages": ASK, "tools": tools, "tool_choice": choice}
        assert refuse(parrot, "/v1/chat/completions", body)["param"] == "tool_choice"


def test_tokenize(parrot):
    post = parrot.http.post
    ids = post("/tokenize", json={"content": "aé<think>"}).json()["tokens"]
    assert len(ids) == 4
    assert post("/detokenize", json={"tokens": ids}).json() == {"content": "aé<think>", "prompt": "aé<think>"}
    plain = post("/tokenize", json={"content": "<think>", "parse_special": False}).json()["tokens"]
    assert len(plain) == 7
    pieces = post("/tokenize", json={"content": "aé", "with_pieces": True}).json()["tokens"]
    assert [p["piece"] for p in pieces] == ["a", [0xc3], [0xa9]]
    assert post("/v1/detokenize", json={"tokens": []}).json() == {"content": "", "prompt": ""}
    for path, body, param in (("/tokenize", {}, "content"), ("/tokenize", {"content": 5}, "content"),
                              ("/tokenize", {"content": "a", "add_special": 1}, "add_special"),
                              ("/detokenize", {}, "tokens"), ("/detokenize", {"tokens": [-1]}, "tokens"),
                              ("/detokenize", {"tokens": [10 ** 9]}, "tokens"), ("/detokenize", {"tokens": "x"}, "tokens")):
        assert refuse(parrot, path, body)["param"] == param


def test_native_completion(parrot):
    answer = parrot.http.post("/completion", json={"prompt": "a", "n_predict": 3, "n_probs": 2, "seed": 11,
                                                   "return_tokens": True}).json()
    assert answer["content"] == "<think>Let me see." and answer["stop"] is True and answer["stop_type"] == "limit"
    assert len(answer["tokens"]) == 3 and answer["tokens_predicted"] == 3 and answer["tokens_evaluated"] == 1
    assert [len(p["top_logprobs"]) for p in answer["completion_probabilities"]] == [2, 2, 2]
    assert answer["generation_settings"]["seed"] == 11 and answer["generation_settings"]["n_predict"] == 3
    assert answer["prompt"] == "a" and answer["timings"]["predicted_n"] == 3 and answer["truncated"] is False
    word = parrot.http.post("/completion", json={"prompt": "a", "stop": ["see"]}).json()
    assert (word["stop_type"], word["stopping_word"], word["content"]) == ("word", "see", "<think>Let me ")
    whole = parrot.http.post("/completion", json={"prompt": "a"}).json()
    assert whole["stop_type"] == "eos" and whole["has_new_line"] is True and whole["content"].endswith("</tool_call>")
    assert 0 <= whole["generation_settings"]["seed"] < 2 ** 53
    for prompt, count in ((["a"], 1), ([64, "bc", 65], 4), ([[64, 65]], 2), ("é", 2)):
        answer = parrot.http.post("/completion", json={"prompt": prompt, "n_predict": 1}).json()
        assert answer["tokens_evaluated"] == count
    several = parrot.http.post("/completion", json={"prompt": [[1], "bc", {"prompt_string": "d"}], "n_predict": 2}).json()
    assert [(one["index"], one["tokens_evaluated"]) for one in several] == [(0, 1), (1, 2), (2, 1)]
    chosen = parrot.http.post("/completion", json={"prompt": "a", "n_predict": 2, "response_fields": ["content", "generation_settings/seed"]})
    assert set(chosen.json()) == {"content", "generation_settings/seed"}
    for prompt in (None, 5, [-1], [10 ** 9], [1.5], [[["x"]]], [{}], "", [], {"prompt_string": "x", "multimodal_data": ["AA=="]}, [[1]] * 257):
        assert refuse(parrot, "/completion", {"prompt": prompt, "n_predict": 1})["message"]


@pytest.mark.parametrize("path", ["/completion", "/chat/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_probabilities_after_sampling(small, path, stream):
    is_chat = path.endswith("chat/completions")

    def tokens(**more):
        body = {"temperature": 0.8, "top_k": 4, "top_p": 1, "seed": 5, "max_tokens": 6, "ignore_eos": True, "stream": stream,
                **({"messages": ASK, "logprobs": True, "top_logprobs": 10} if is_chat else {"prompt": "Today", "n_probs": 10}), **more}
        answer = small.http.post(path, json=body)
        parts = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")] if stream else [answer.json()]
        if is_chat:
            return [token for part in parts for choice in part["choices"] for token in (choice.get("logprobs") or {}).get("content") or []]
        return [token for part in parts for token in part.get("completion_probabilities", [])]

    sampled, plain = tokens(post_sampling_probs=True), tokens()
    assert len(sampled) == len(plain) == 6 and [one["token"] for one in sampled] == [one["token"] for one in plain]
    for one, other in zip(sampled, plain):
        assert set(one) == {"id", "token", "bytes", "prob", "top_probs"} and "logprob" in other and len(other["top_logprobs"]) == 10
        assert len(one["top_probs"]) == 4 and all(set(top) == {"id", "token", "bytes", "prob"} for top in one["top_probs"])
        assert abs(sum(top["prob"] for top in one["top_probs"]) - 1) < 1e-5
        assert one["prob"] == next(top["prob"] for top in one["top_probs"] if top["id"] == one["id"])
        odds = [round(math.exp((top["logprob"] - other["top_logprobs"][0]["logprob"]) / 0.8), 3) for top in other["top_logprobs"][:4]]
        assert [round(top["prob"] / one["top_probs"][0]["prob"], 3) == pytest.approx(ratio, abs=0.002)
                for top, ratio in zip(one["top_probs"], odds)] == [True] * 4
    greedy = tokens(post_sampling_probs=True, temperature=0)
    assert [(one["prob"], len(one["top_probs"])) for one in greedy] == [(1, 1)] * 6


def test_native_stream(parrot):
    with parrot.http.stream("POST", "/completion", json={"prompt": "a", "n_predict": 8, "stream": True,
                                                         "return_progress": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert [e["stop"] for e in events] == [False] * (len(events) - 1) + [True]
    assert "".join(e["content"] for e in events) == "<think>Let me see.</think>Grüße "
    assert events[0]["prompt_progress"]["total"] == 1 and events[-1]["timings"]["predicted_n"] == 8
    tokens = [token for event in events for token in event["tokens"]]
    assert parrot.http.post("/detokenize", json={"tokens": tokens}).json()["content"] == "<think>Let me see.</think>Grüße "
    assert not any("completion_probabilities" in event for event in events)


def test_progress(small):
    """A long prompt read in several passes tells how far it is."""
    body = {"messages": [{"role": "user", "content": "word " * 900}], "max_tokens": 1, "stream": True,
            "return_progress": True}
    with small.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    progress = [e["prompt_progress"] for e in events if "prompt_progress" in e]
    assert len(progress) >= 2 and all(p["total"] == progress[0]["total"] for p in progress)
    assert progress[-1]["processed"] == progress[-1]["total"] > 900


def places(connection, count):
    """Reads a stream until it has told so many places or that its prompt is read; what it told in this order."""
    received = b""
    while True:
        told = [json.loads(line[6:]) for line in received.split(b"\n")[:-1] if line.startswith(b"data: {")]
        told = [{key: event[key] for key in ("queue", "prompt_progress") if key in event} for event in told]
        told = [event for event in told if event]
        if len(told) >= count or any("prompt_progress" in event for event in told):
            return told
        received += connection.recv(65536)


def test_places_in_the_queue(start):
    """Told by each format that streams, and again when somebody before leaves; then comes the reading."""
    path = os.environ.get("SMOLLM_TEST_MODEL")
    if not path:
        pytest.skip("SMOLLM_TEST_MODEL names no model")
    server = start(path, "-np", "1", "-c", "4096")
    body = {"prompt": "a", "messages": ASK, "stream": True, "return_progress": True, "max_tokens": 4000}
    working = server.connect()
    working.sendall(post("/completion", json.dumps({**body, "ignore_eos": True})))
    server.wait_busy()
    keep_reading(working)
    waiting = []
    for place, path in enumerate(("/v1/chat/completions", "/v1/completions", "/completion")):
        waiting.append(server.connect())
        waiting[-1].sendall(post(path, json.dumps(body)))
        assert places(waiting[-1], 1) == [{"queue": {"ahead": place, "seconds": None}}]
    waiting[0].close()
    for place, connection in enumerate(waiting[1:]):
        assert places(connection, 1) == [{"queue": {"ahead": place, "seconds": None}}]
    working.shutdown(socket.SHUT_RDWR)
    told = places(waiting[1], 9)
    assert told[-1]["prompt_progress"]["total"] == 1
    for connection in waiting[1:]:
        connection.close()
    server.wait_idle()
    server.stop()


@pytest.mark.parametrize("path", ["/completion", "/v1/chat/completions"])
def test_timings_of_a_prompt_that_is_being_read(small, path):
    text = "the quick brown fox jumps over the lazy dog " * 90
    body = {"prompt": text, "messages": [{"role": "user", "content": text}], "max_tokens": 2, "stream": True, "return_progress": True,
            "timings_per_token": True}
    chunks = [json.loads(line[6:]) for line in small.http.post(path, json=body).text.splitlines() if line.startswith("data: {")]
    read = [(chunk["prompt_progress"], chunk["timings"]) for chunk in chunks if "prompt_progress" in chunk]
    assert len(read) > 2 and read[0][1]["prompt_n"] == read[0][1]["prompt_ms"] == 0
    assert all(timings["prompt_n"] == progress["processed"] - progress["cache"] and timings["predicted_n"] == timings["predicted_ms"] == 0
               for progress, timings in read)
    times = [timings["prompt_ms"] for _, timings in read]
    assert times == sorted(times) and 0 < times[-1] <= chunks[-1]["timings"]["prompt_ms"]


@pytest.mark.parametrize("stream", [False, True])
def test_verbose_answers_repeat_their_prompt(parrot, stream):
    body = {"messages": ASK, "max_tokens": 7, "seed": 3, "stream": stream}
    prompt = parrot.http.post("/apply-template", json={"messages": ASK}).json()["prompt"]
    for is_verbose in (True, False):
        text = parrot.http.post("/v1/chat/completions", json={**body, "verbose": is_verbose}).text
        last = json.loads([line[6:] for line in text.splitlines() if line.startswith("data: {")][-1]) if stream else json.loads(text)
        assert ("__verbose" in last) == is_verbose
        if is_verbose:
            verbose = last["__verbose"]
            assert verbose["prompt"] == prompt and verbose["generation_settings"]["seed"] == 3 and verbose["tokens_predicted"] == 7
            assert stream or verbose["content"] == last["choices"][0]["message"]["content"]


def test_information(parrot):
    get = parrot.http.get
    assert get("/health").json() == get("/v1/health").json() == {"status": "ok"}
    props = get("/props").json()
    assert props["total_slots"] == 4 and props["default_generation_settings"]["n_ctx"] == 4096
    assert props["chat_format"] == "smollm3" and props["chat_format_has_tools"] is True
    assert [slot["id"] for slot in get("/slots").json()] == [0, 1, 2, 3]
    models = get("/models").json()
    assert models == get("/v1/models").json() and models["data"][0]["id"] == "parrot-1"
    assert get("/v1/models/parrot%2D1").json()["id"] == "parrot-1"
    assert get("/v1/models/").json() == models and get("/v1").status_code == 404
    metrics = get("/metrics").text
    values = dict(re.findall(r'^([a-z_:]+)(?:\{model_name="parrot-1"\})? ([0-9.]+)$', metrics, re.M))
    assert values["vllm:num_requests_running"] == "0" and float(values["smollm_generated_tokens_total"]) >= 0
    assert 0 <= float(values["vllm:kv_cache_usage_perc"]) <= 1


def test_routers_and_harnesses(parrot):
    """What vLLM's and SGLang's routers and lm-eval ask for."""
    get, post = parrot.http.get, lambda path, **body: parrot.http.post(path, json=body).json()
    assert get("/version").json()["version"] and get("/ping").json() == {} == parrot.http.post("/ping", headers={"Content-Type": "application/json"}).json()
    assert get("/load").json() == {"server_load": 0}
    for path in ("/server_info", "/get_server_info", "/model_info", "/get_model_info"):
        assert get(path).json()["max_model_len"] == 4096 and get(path).json()["is_generation"] is True
    info = get("/tokenizer_info").json()
    assert info["eos_token"] == "<|im_end|>" and "chat_template" in info
    plain = post("/tokenize", content="abc")["tokens"]
    assert post("/tokenize", prompt="abc", add_special_tokens=False) == {"count": 3, "max_model_len": 4096, "tokens": plain}
    assert post("/detokenize", tokens=plain) == {"content": "abc", "prompt": "abc"}
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    tokens = post("/tokenize", **chat)["tokens"]
    assert post("/v1/chat/completions/render", **chat)["token_ids"] == tokens and len(tokens) > 5
    assert post("/detokenize", tokens=tokens)["prompt"] == post("/apply-template", **chat)["prompt"]
    assert [entry["token_ids"] for entry in post("/v1/completions/render", prompt=["abc", [1, 2]])] == [plain, [1, 2]]
    assert post("/v1/chat/completions/input_tokens", **chat)["input_tokens"] == len(tokens)
    assert get("/lora-adapters").json() == []
    infill = parrot.http.post("/infill", json={"input_prefix": "a", "input_suffix": "b"})
    assert infill.status_code == 501 and "vocabulary" in infill.json()["error"]["message"]
    for extra in ({}, {"filename": "ok"}, {"filename": 123, "text": "abc"}):
        assert parrot.http.post("/infill", json={"input_prefix": "a", "input_suffix": "b", "input_extra": [extra]}).status_code == 400


def test_openapi(parrot):
    """The description names every route, and the ranges that are checked."""
    api = parrot.http.get("/openapi.json").json()
    assert api["openapi"].startswith("3.1") and {"/v1/messages", "/api/chat", "/v1/responses/{id}", "/metrics"} <= set(api["paths"])
    assert set(api["paths"]["/v1/responses/{id}"]) == {"get", "delete"}
    names = [operation["operationId"] for path in api["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) and all(operation["summary"] for path in api["paths"].values() for operation in path.values())
    for path, other in (("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}), ("/completion", {"prompt": "x"}),
                        ("/v1/messages", {"messages": [{"role": "user", "content": "x"}]}), ("/v1/responses", {"model": "m", "input": "x"})):
        schema = api["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(schema["required"]) <= set(other)
        for name, field in schema["properties"].items():
            if "maximum" in field and field["maximum"] < 2 ** 60:
                assert parrot.http.post(path, json={**other, name: field["maximum"] * 2 + 1}).status_code == 400, (path, name)


def test_query_parameters(parrot, start, endless_path):
    """Each is described, and each that is required is missed."""
    paths = parrot.http.get("/openapi.json").json()["paths"]
    described = {(path, method): {field["name"]: (field["required"], field["schema"]) for field in operation.get("parameters", [])
                                  if field["in"] == "query"} for path, methods in paths.items() for method, operation in methods.items()}
    described = {where: fields for where, fields in described.items() if fields}
    text = {"type": "string"}
    assert described == {("/v1/stream", "get"): {"conv_id": (True, text), "from": (False, {"type": "integer", "minimum": 0})},
                         ("/v1/stream", "delete"): {"conv_id": (True, text)}, ("/slots", "get"): {"fail_on_no_slot": (False, text)}}
    for (path, method), fields in described.items():
        for name, (required, schema) in fields.items():
            others = {other: "1" for other in fields if other != name}
            for value in [None] * required + ["x"] * (schema != text):
                answer = parrot.http.request(method, path, params={**others, **({name: value} if value else {})})
                assert answer.status_code == 400 and answer.json()["error"]["param"] == name
    server = start(endless_path, "-np", "1", "-c", "65536")
    assert server.http.get("/slots", params={"fail_on_no_slot": 1}).status_code == 200
    with server.connect() as working:
        working.sendall(post("/completion", json.dumps({"prompt": "a", "stream": True, "n_predict": 60000})))
        working.recv(100)
        keep_reading(working)
        assert server.http.get("/slots", params={"fail_on_no_slot": 1}).status_code == 503
        assert server.http.get("/slots", params={"fail_on_no_slot": ""}).status_code == 200
    server.stop()


def test_continue_final_message(parrot):
    body = {"messages": [*ASK, {"role": "assistant", "content": "Well,"}], "continue_final_message": True}
    assert parrot.http.post("/apply-template", json=body).json()["prompt"].endswith("Well,")
    assert refuse(parrot, "/apply-template", {"messages": ASK, "continue_final_message": True})["param"] == \
        "continue_final_message"
