"""An answer whose server dies goes on at another one, to the character: continue_from, with the seed and the number of tokens."""
import json
import os
import random
import signal
import threading
import time

import httpx
import pytest

from server_process import SLOWNESS

QUESTIONS = ["Tell me about the sea.", "Describe a walk in the mountains \U0001f97e.", "Schreibe über Käse.", "What is a prime number?",
             "Write a letter to a friend in Tōkyō."]
SCHEMA = {"type": "object", "properties": {"title": {"type": "string", "maxLength": 60}, "tags": {"type": "array", "items": {"type": "string", "maxLength": 12},
                                                                                             "minItems": 3, "maxItems": 5}},
          "required": ["title", "tags"], "additionalProperties": False}


def request(i):
    """Route and body of stream i: conversations, plain prompts, native completions, answers with a form; stop strings that are held back."""
    question, options = QUESTIONS[i % len(QUESTIONS)], {"stream": True, "temperature": 0.9, "seed": i, "stop": ["\n\n\n", "the end."]}
    usage = {"stream_options": {"continuous_usage_stats": True}}
    conversation = {"messages": [{"role": "user", "content": question}]}
    return [("/v1/chat/completions", {**conversation, **options, **usage, "max_tokens": 40}),
            ("/v1/completions", {"prompt": question, **options, "continuous_usage_stats": True, "max_tokens": 60, "presence_penalty": 0.7}),
            ("/completion", {"prompt": question, **options, "n_predict": 40, "repeat_penalty": 1.2}),
            ("/v1/chat/completions", {**conversation, **options, **usage, "max_tokens": 80,
                                      "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}})][i % 4]


class Reader:
    """Reads one stream. What is settled came with a number of tokens; what came after the number last grew would be sent again."""

    def __init__(self, path, body):
        self.path, self.body = path, body
        self.settled, self.open, self.tokens, self.reason = "", "", 0, None

    def take(self, chunk):
        if self.path == "/completion":
            text, tokens, reason = chunk["content"], chunk["tokens_predicted"], chunk.get("stop_type")
        else:
            choice = chunk["choices"][0]
            text = choice["delta"].get("content") or "" if "delta" in choice else choice["text"]
            tokens, reason = chunk["usage"]["completion_tokens"], choice["finish_reason"]
        self.open += text
        if tokens > self.tokens or reason:
            self.settled, self.open, self.tokens = self.settled + self.open, "", tokens
        self.reason = reason or self.reason

    def read(self, url, **more):
        self.open = ""
        try:
            with httpx.stream("POST", url + self.path, json={**self.body, **more}, timeout=60 * SLOWNESS, trust_env=False) as answer:
                assert answer.status_code == 200, answer.read()
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        self.take(json.loads(line[6:]))
        except (httpx.TransportError, ConnectionError):
            pass

    def go_on(self, url):
        self.read(url, continue_from=self.tokens)


def in_threads(calls):
    threads = [threading.Thread(target=function, args=arguments) for function, *arguments in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_hundred_streams_survive_their_server(start):
    model, rounds, at_once = os.environ["SMOLLM_TEST_MODEL"], 20 if SLOWNESS == 1 else 3, 5
    other = start(model, "-c", "2048", "-np", "3", "--cpu", "avx2")  # another kernel tier and another batch
    random.seed(1)
    cut = 0
    for begin in range(0, rounds * at_once, at_once):
        server = start(model, "-c", "2048", "-np", "4")
        readers = [Reader(*request(i)) for i in range(begin, begin + at_once)]
        threads = [threading.Thread(target=reader.read, args=(server.url,)) for reader in readers]
        for thread in threads:
            thread.start()
        wanted, deadline = random.randrange(20, 150), time.monotonic() + 20 * SLOWNESS
        while sum(reader.tokens for reader in readers) < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for thread in threads:
            thread.join()
        cut += sum(reader.reason is None and reader.tokens > 0 for reader in readers)
        wholes = [Reader(reader.path, reader.body) for reader in readers]
        in_threads([(whole.read, other.url) for whole in wholes] + [(reader.go_on, other.url) for reader in readers if reader.reason is None])
        for reader, whole in zip(readers, wholes):
            assert (reader.settled, reader.reason) == (whole.settled, whole.reason), (reader.path, reader.body)
    assert cut > rounds * at_once * 0.6


def test_from_every_token_by_number_and_by_ids(small):
    body = {"prompt": "Käse \U0001f9c0 is", "n_predict": 24, "temperature": 0.8, "seed": 5, "stream": True, "return_tokens": True}
    texts, ids = [], []
    with small.http.stream("POST", "/completion", json=body) as answer:
        for line in answer.iter_lines():
            chunk = json.loads(line[6:]) if line.startswith("data: {") else {"stop": True}
            if not chunk["stop"]:
                texts.append(chunk["content"])
                ids += chunk["tokens"]
    assert len(texts) == len(ids) == 24
    for count in range(25):
        for place in (count, ids[:count]):
            answer = small.http.post("/completion", json={**body, "stream": False, "continue_from": place}).json()
            assert answer["content"] == "".join(texts[count:]), (count, place)
            assert answer["tokens_predicted"] == 24
            assert answer["tokens"] == ids[count:]


def test_calls_and_thinking_go_on(parrot):
    """What was told is counted in thinking, text and calls alike."""
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}}]
    body = {"messages": [{"role": "user", "content": "Hi"}], "tools": tools, "stream": True, "temperature": 0,
            "stream_options": {"continuous_usage_stats": True}}

    def deltas(**more):
        found = []
        with parrot.http.stream("POST", "/v1/chat/completions", json={**body, **more}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    chunk = json.loads(line[6:])
                    delta = chunk["choices"][0]["delta"]
                    delta.pop("role", None)
                    for call in delta.get("tool_calls", []):
                        call.pop("id", None)
                    found.append((chunk["usage"]["completion_tokens"], delta))
        return found

    whole = deltas()
    assert [count for count, _ in whole] == sorted(count for count, _ in whole)
    for count in range(whole[-1][0] + 1):
        rest = [delta for _, delta in deltas(continue_from=count)]
        settled = max(i for i, (tokens, _) in enumerate(whole[:-1]) if tokens <= count)
        begin = min(i for i, (tokens, _) in enumerate(whole) if tokens == whole[settled][0])
        wanted = [delta for _, delta in whole[begin + 1:]]
        assert rest[1:] == wanted, count


@pytest.mark.parametrize("more, message", [
    ({"continue_from": 3, "temperature": 1}, "needs the seed"),
    ({"continue_from": "3", "seed": 1}, "continue_from is a string"),
    ({"continue_from": -1, "seed": 1}, "continue_from"),
    ({"continue_from": [1, -2], "seed": 1}, "continue_from"),
    ({"continue_from": [0, 10**6], "seed": 1}, "continue_from"),
    ({"continue_from": 1, "seed": 1, "n": 2}, "goes on with one answer"),
    ({"continue_from": [2], "seed": 1}, "ends with token 0"),
])
def test_refusals(small, more, message):
    answer = small.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}], "temperature": 1, **more})
    assert answer.status_code == 400 and message in answer.json()["error"]["message"], answer.text


def test_beyond_the_end_there_is_only_the_end(small):
    body = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "max_tokens": 5}
    answer = small.http.post("/v1/chat/completions", json={**body, "continue_from": 5}).json()
    assert answer["choices"][0]["message"]["content"] == "" and answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
