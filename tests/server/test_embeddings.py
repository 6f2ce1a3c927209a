"""Embeddings, in the forms of three protocols."""
import base64
import math
import struct

import pytest

TEXTS = ["I believe the meaning of life is", "The cat sat on the mat.", "Grüße aus Köln 🦜"]


def embed(server, path="/v1/embeddings", **body):
    answer = server.http.post(path, json={"input": TEXTS, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def length(vector):
    return math.sqrt(sum(x * x for x in vector))


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_vectors(small, pooling):
    answer = embed(small, pooling=pooling)
    vectors = [entry["embedding"] for entry in answer["data"]]
    assert [entry["index"] for entry in answer["data"]] == [0, 1, 2] and answer["model"] == "small"
    assert all(len(vector) == 576 and abs(length(vector) - 1) < 1e-5 for vector in vectors)
    assert len({tuple(vector) for vector in vectors}) == 3
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 10
    # One at a time, by ids, and again: the same numbers.
    for text, vector in zip(TEXTS, vectors):
        ids = small.http.post("/tokenize", json={"content": text}).json()["tokens"]
        assert embed(small, input=text, pooling=pooling)["data"][0]["embedding"] == vector
        assert embed(small, input=[ids, ids], pooling=pooling)["data"][1]["embedding"] == vector
    assert abs(length(embed(small, pooling=pooling, normalize=False)["data"][0]["embedding"]) - 1) > 0.1


def test_client(small):
    """The package asks for base64."""
    client = small.openai()
    answer = client.embeddings.create(model="text-embedding-3-small", input=TEXTS)
    plain = embed(small)["data"]
    assert len(answer.data) == 3
    for entry, other in zip(answer.data, plain):
        assert all(abs(a - b) < 1e-7 for a, b in zip(entry.embedding, other["embedding"], strict=True))
    text = embed(small, encoding_format="base64")["data"][0]["embedding"]
    assert list(struct.unpack("<576f", base64.b64decode(text))) == pytest.approx(plain[0]["embedding"], abs=1e-7)


def test_dimensions(small):
    short = embed(small, dimensions=64)["data"][0]["embedding"]
    whole = embed(small)["data"][0]["embedding"]
    assert len(short) == 64 and abs(length(short) - 1) < 1e-5
    assert short == pytest.approx([x / length(whole[:64]) for x in whole[:64]], abs=1e-5)


def test_many(small):
    """More inputs than the queue has places."""
    answer = embed(small, input=[f"number {i}" for i in range(150)])
    assert [entry["index"] for entry in answer["data"]] == list(range(150))
    assert answer["data"][149]["embedding"] == embed(small, input="number 149")["data"][0]["embedding"]


def test_other_protocols(small):
    vector = embed(small)["data"][0]["embedding"]
    native = small.http.post("/embedding", json={"content": TEXTS[0]}).json()
    assert native == [{"index": 0, "embedding": [vector]}] == small.http.post("/embeddings", json={"input": TEXTS[0]}).json()
    import ollama
    client = ollama.Client(host=small.url, trust_env=False)
    answer = client.embed("small", input=TEXTS)
    assert list(answer.embeddings[0]) == vector and len(answer.embeddings) == 3 and answer.prompt_eval_count > 10
    assert list(client.embeddings("small", TEXTS[0]).embedding) == vector


def test_a_vector_for_each_token(small):
    """As llama-server has it: not scaled, and only where the answer has a place for it."""
    def native(**body):
        answer = small.http.post("/embedding", json={"content": TEXTS, **body})
        assert answer.status_code == 200, answer.text
        return [entry["embedding"] for entry in answer.json()]

    every = native(pooling="none")
    for text, vectors in zip(TEXTS, every, strict=True):
        ids = small.http.post("/tokenize", json={"content": text}).json()["tokens"]
        assert len(vectors) == len(ids) and all(len(vector) == 576 for vector in vectors)
        assert all(abs(length(vector) - 1) > 0.1 for vector in vectors)
        mean = native(content=text, normalize=False)[0][0]
        assert [sum(column) / len(ids) for column in zip(*vectors)] == pytest.approx(mean, abs=1e-4)
        assert native(content=text, pooling="last", normalize=False)[0][0] == vectors[-1]
    assert all(abs(length(vector) - 1) < 1e-5 for vector in native(pooling="none", embd_normalize=2)[2])
    assert [len(vector) for vector in native(pooling="none", dimensions=8)[0]] == [8] * len(every[0])
    text = native(pooling="none", encoding_format="base64")[0][1]
    assert list(struct.unpack("<576f", base64.b64decode(text))) == pytest.approx(every[0][1], abs=1e-6)
    # More vectors than are kept for a reader; more numbers than an answer may have.
    assert len(native(content="x " * 1999, pooling="none")[0]) >= 1999
    answer = small.http.post("/embedding", json={"content": ["x " * 1999] * 4, "pooling": "none"})
    assert answer.status_code == 400 and "7281 tokens" in answer.json()["error"]["message"]
    answer = small.http.post("/v1/embeddings", json={"input": "x", "pooling": "none"})
    assert answer.status_code == 400 and "not OAI compatible" in answer.json()["error"]["message"]
    answer = small.http.post("/api/embed", json={"model": "small", "input": "x", "pooling": "none"})
    assert answer.status_code == 400 and "pooling" in answer.json()["error"]


def test_default_pooling(start, parrot_path):
    server = start(parrot_path, "--pooling", "none")
    answer = server.http.post("/v1/embeddings", json={"input": "ab"})
    assert answer.status_code == 400 and embed(server, pooling="mean")
    assert len(server.http.post("/embedding", json={"content": "ab"}).json()[0]["embedding"]) == 2
    server.stop()
    server = start(parrot_path, "--pooling", "last")
    assert embed(server) == embed(server, pooling="last") != embed(server, pooling="mean")
    server.stop()


@pytest.mark.parametrize("change, word", [
    ({"input": None}, "input"), ({"input": 5}, "input"), ({"input": []}, "prompt"), ({"input": [{"content": [{"type": "image_url"}]}]}, "text"),
    ({"pooling": "max"}, "pooling"), ({"dimensions": 0}, "dimensions"), ({"dimensions": 10 ** 5}, "dimensions"),
    ({"encoding_format": "hex"}, "encoding_format"), ({"embd_normalize": 1}, "embd_normalize"), ({"input": "x " * 5000}, "too long"),
    ({"input": ["x"] * 2049}, "2048"),
])
def test_wrong_fields(small, change, word):
    answer = small.http.post("/v1/embeddings", json={"input": "x", **change})
    assert answer.status_code == 400 and word in answer.json()["error"]["message"]


def test_echo(small):
    """Log-probabilities of the prompt, as lm-eval asks for them; of many prompts at once."""
    ids = small.http.post("/tokenize", json={"content": "The capital of France is Paris."}).json()["tokens"]
    body = {"prompt": [ids] * 64, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0, "seed": 1}
    choices = small.http.post("/v1/completions", json=body, timeout=120).json()["choices"]
    assert len(choices) == 64 and all(choice["logprobs"] == choices[0]["logprobs"] for choice in choices)
    logprobs = choices[0]["logprobs"]
    assert len(logprobs["token_logprobs"]) == len(ids) + 1 and logprobs["token_logprobs"][0] is None and logprobs["top_logprobs"][0] is None
    assert "".join(logprobs["tokens"]) == choices[0]["text"]
    for token, logprob, top in list(zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"]))[1:]:
        best, = top.items()
        assert logprob <= best[1] and (best[0] != token or best[1] == logprob)
    # vLLM's name for the same.
    answer = small.http.post("/v1/completions", json={"prompt": ids, "prompt_logprobs": 2, "max_tokens": 1, "temperature": 0}).json()
    listed = answer["choices"][0]["prompt_logprobs"]
    assert listed[0] is None and len(listed) == len(ids)
    for token, entry, logprob in zip(ids[1:], listed[1:], logprobs["token_logprobs"][1:]):
        assert entry[str(token)]["logprob"] == logprob and sorted(one["rank"] for one in entry.values() if one["rank"]) == [1, 2]
    chat = small.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}], "prompt_logprobs": 0, "max_tokens": 1}).json()
    assert chat["prompt_logprobs"][0] is None and len(chat["prompt_logprobs"]) == chat["usage"]["prompt_tokens"]
