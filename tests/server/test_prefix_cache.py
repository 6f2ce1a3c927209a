"""What clients send again is not read again: turns of a conversation, several answers to one prompt; and not across keys."""
import os
import re
import time

SYSTEM = {"role": "system", "content": "You answer in few words. " * 20}


def chat(client, messages, **options):
    answer = client.chat.completions.create(model="small", messages=messages, max_tokens=12, temperature=0, **options)
    usage = answer.usage
    return [choice.message.content for choice in answer.choices], usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens


def test_turns_read_what_is_new_alone(small):
    client = small.openai()
    messages = [SYSTEM, {"role": "user", "content": "What is the capital of France?"}]
    text, first, _ = chat(client, messages)
    messages += [{"role": "assistant", "content": text[0]}, {"role": "user", "content": "And of Italy?"}]
    text, second, cached = chat(client, messages)
    assert first <= cached < second
    assert second - cached < 40
    # Asked again, all but the last token is known; the answer is the same.
    assert chat(client, messages) == (text, second, second - 1)
    # Another question after the same system prompt.
    _, other, cached = chat(client, [SYSTEM, {"role": "user", "content": "How many legs has a spider?"}])
    assert 100 < cached < other


def read_ahead(server):
    return int(re.search(r"^smollm_read_ahead_tokens_total (\d+)$", server.http.get("/metrics").text, re.M)[1])


def test_the_next_turn_is_read_while_idle(start):
    server = start(os.environ["SMOLLM_TEST_MODEL"], "-c", "2048", "--metrics", "--temp", "0", "--alias", "small")
    client = server.openai()
    messages = [SYSTEM, {"role": "user", "content": "What is the capital of France?"}]
    text, first, _ = chat(client, messages)
    deadline = time.monotonic() + 20
    while read_ahead(server) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    messages += [{"role": "assistant", "content": text[0]}, {"role": "user", "content": "And of Italy?"}]
    _, second, cached = chat(client, messages)
    message = server.http.post("/tokenize", json={"content": "And of Italy?"}).json()["tokens"]
    frame = server.http.post("/tokenize", json={"content": "<|im_end|>\n<|im_start|>assistant\n", "parse_special": True}).json()["tokens"]
    assert second - cached == len(message) + len(frame)


def test_answers_to_one_prompt_share_it(small):
    messages = [{"role": "user", "content": "Tell me about the sea, and do it slowly, word for word. " * 10}]
    texts, _, _ = chat(small.openai(), messages, n=3)
    assert len(set(texts)) == 1  # greedy
    assert chat(small.openai(), messages)[0] == texts[:1]


def test_keys_do_not_share(start, parrot_path, folder):
    keys = folder / "cache-keys"
    keys.write_text("one\ntwo\n")
    server = start(parrot_path, "--api-key-file", keys, "--metrics", "--temp", "0")
    one, two = server.openai(api_key="one"), server.openai(api_key="two")
    messages = [{"role": "user", "content": "A question that fills some pages. " * 8}]
    text, tokens, cached = chat(one, messages)
    assert cached == 0
    assert chat(two, messages) == (text, tokens, 0)
    assert chat(one, messages) == (text, tokens, tokens - 1)
    assert chat(two, messages) == (text, tokens, tokens - 1)
    metrics = server.http.get("/metrics", headers={"x-api-key": "one"}).text
    for name in ("smollm_cached_tokens_total", "vllm:prefix_cache_hits_total"):
        assert int(re.search(rf"^{name}(?:{{.*}})? (\d+)$", metrics, re.M)[1]) == 2 * (tokens - 1)
