"""What goes wrong goes wrong in each protocol's own form: one table of protocols, one walk for each kind of error."""
import json
import os
import threading

import pytest

from server_process import post, status_of

USER = [{"role": "user", "content": "hi"}]


def openai_error(body):
    return set(body) == {"error"} and set(body["error"]) >= {"message", "type", "param", "code"} and body["error"]["message"]


def anthropic_error(body):
    return set(body) == {"type", "error", "request_id"} and body["type"] == "error" and body["error"]["message"]


def ollama_error(body):
    return set(body) == {"error"} and isinstance(body["error"], str) and body["error"]


def events(text):
    """The JSON of each event of a stream of server-sent events, or of each line."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line and not line.startswith((":", "event: "))]
    return [json.loads(line) for line in lines if line != "[DONE]"]


# name: path, body, how its errors look, and how a stream that has begun ends with one
DIALECTS = {
    "chat": ("/v1/chat/completions", {"messages": USER, "max_tokens": 5000}, openai_error, lambda last: openai_error(last)),
    "completions": ("/v1/completions", {"prompt": "hi", "max_tokens": 5000}, openai_error, lambda last: openai_error(last)),
    "native": ("/completion", {"prompt": "hi", "n_predict": 5000}, openai_error, lambda last: openai_error(last)),
    "responses": ("/v1/responses", {"model": "m", "input": "hi", "max_output_tokens": 5000}, openai_error,
                  lambda last: last["type"] == "response.failed" and last["response"]["error"]["message"]),
    "anthropic": ("/v1/messages", {"messages": USER, "max_tokens": 5000}, anthropic_error, lambda last: anthropic_error(last)),
    "ollama-chat": ("/api/chat", {"model": "m", "messages": USER, "options": {"num_predict": 5000}}, ollama_error, lambda last: ollama_error(last)),
    "ollama-generate": ("/api/generate", {"model": "m", "prompt": "hi", "options": {"num_predict": 5000}}, ollama_error,
                        lambda last: ollama_error(last)),
}
each = pytest.mark.parametrize("name", DIALECTS)


@each
def test_invalid_json(parrot, name):
    path, _, is_error, _ = DIALECTS[name]
    for content in (b"{", b"[]", b'{"a": 1, "a": \xff}'):
        answer = parrot.http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and is_error(answer.json()), answer.text


@each
def test_refused_before_the_body(parrot, name):
    path, body, is_error, _ = DIALECTS[name]
    other = parrot.http.post(path, content=json.dumps(body), headers={"Content-Type": "text/plain"})
    assert other.status_code == 415 and is_error(other.json())
    method = parrot.http.put(path, json=body)
    assert method.status_code == 405 and is_error(method.json()) and method.headers["allow"] == "POST"
    page = parrot.http.post(path, json=body, headers={"Origin": "http://evil.example"})
    assert page.status_code == 403 and is_error(page.json())
    large = parrot.http.post(path, content=b" " * ((8 << 20) + 1), headers={"Content-Type": "application/json"})
    assert large.status_code == 413 and is_error(large.json())


@pytest.fixture(scope="module")
def locked(start, parrot_path):
    return start(parrot_path, "--api-key", "ann:secret")


@each
def test_no_key(locked, name):
    path, body, is_error, _ = DIALECTS[name]
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"x-api-key": "ann"}, {"x-api-key": "ann:secret"}):
        answer = locked.http.post(path, json=body, headers=headers)
        assert answer.status_code == 401 and is_error(answer.json())
    assert locked.http.post(path, json={**body, "stream": False}, headers={"x-api-key": "secret"}).status_code == 200


@each
def test_overflow(parrot, name):
    path, body, is_error, _ = DIALECTS[name]
    long = json.loads(json.dumps(body).replace('"hi"', json.dumps("word " * 20000)))
    answer = parrot.http.post(path, json=long)
    assert answer.status_code == 400 and is_error(answer.json()) and "prompt is too long" in answer.text


def test_full_queue(start):
    """One answer is under way, which takes long, and 64 requests wait: the next one of any protocol is refused."""
    server = start(os.environ["SMOLLM_TEST_MODEL"], "-c", "8192", "-np", "1", "--temp", "0")
    connections = [server.connect() for _ in range(12)]
    # No streams: unread ones give way. Answers of one request that find no place wait for one, so the queue stays full.
    request = post("/v1/completions", json.dumps({"prompt": "hi", "max_tokens": 8000, "ignore_eos": True, "n": 8}))
    for connection in connections:
        connection.sendall(request)
    assert status_of(connections[-1].recv(4096)) == 429
    for name, (path, body, is_error, _) in DIALECTS.items():
        with server.http.stream("POST", path, json={**body, "stream": True}) as answer:
            assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1, name
            assert is_error(json.loads(answer.read())), name
    for connection in connections:
        connection.close()
    server.wait_idle()
    server.stop()


@each
def test_shutdown(start, endless_path, name):
    """A stream that has begun ends with the protocol's error event."""
    path, body, _, is_last = DIALECTS[name]
    server = start(endless_path, "-c", "30000", "-np", "1", "--temp", "0", "--drain-timeout", "0")
    text, ready = [], threading.Event()

    def read():
        with server.http.stream("POST", path, json={**body, "stream": True}) as answer:
            for piece in answer.iter_text():
                text.append(piece)
                ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert ready.wait(30)
    server.process.terminate()
    reader.join(30)
    assert server.process.wait(30) == 0
    got = events("".join(text))
    assert len(got) > 1 and is_last(got[-1]), got[-1]


@each
def test_vanishing_clients(endless, name):
    """What they asked for is gone within moments, whoever they were."""
    path, body, _, _ = DIALECTS[name]
    for _ in range(10):
        with endless.http.stream("POST", path, json={**body, "stream": True}) as answer:
            next(answer.iter_text())
    endless.wait_idle()
