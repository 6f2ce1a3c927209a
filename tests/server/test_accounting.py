"""Accounting: usage, timings, metrics and the log all say what the test counts itself, whatever pauses a request while its
prompt is read."""
import json
import re
import threading
import time

import pytest

from server_process import SLOWNESS

WORDS = "sea stone light river garden letter winter engine small old bright slowly never often carry open follow".split()


def text(seed, count):
    return " ".join(WORDS[(i * 7 + i // 5 + i * seed) % 17] for i in range(count))


@pytest.fixture(scope="module")
def two_keys(start, folder, small):
    import os

    keys = folder / "two.keys"
    keys.write_text("key0\nkey1\n")
    # Two places, both of one key, and prompts that are read in small steps: a request of the other key takes the younger one.
    return start(os.environ["SMOLLM_TEST_MODEL"], "--api-key-file", keys, "--metrics", "--log-format", "json", "-c", "1024",
                 "-np", "2", "-ub", "8", "--kv-memory", "64M", "--temp", "0")


def metrics(server):
    shown = server.http.get("/metrics", headers={"Authorization": "Bearer key0"}).text
    return {name: float(value) for name, value in re.findall(r"^(smollm_\w+) ([0-9.e+]+)$", shown, re.M)}


def ask(server, key, body):
    return server.http.post("/v1/completions", json={"ignore_eos": True, **body},
                            headers={"Authorization": "Bearer " + key, "X-Request-Id": body["id"]}).json()


def test_a_pause_while_a_prompt_is_read(two_keys):
    before, own, answers = metrics(two_keys), {"prompt": 0, "cached": 0, "generated": 0}, {}
    rounds = 12 if SLOWNESS == 1 else 3
    for number in range(rounds):
        busy = threading.Thread(target=lambda b={"id": f"busy-{number}", "prompt": "x", "max_tokens": 300}:
                                answers.__setitem__(b["id"], ask(two_keys, "key0", b)))
        busy.start()
        time.sleep(0.05 * SLOWNESS)
        # The prefix is cached from round to round; what follows it is new each time.
        body = {"id": f"long-{number}", "prompt": text(0, 200) + f" {number} " + text(number + 1, 120), "max_tokens": 3}
        reading = threading.Thread(target=lambda b=body: answers.__setitem__(b["id"], ask(two_keys, "key0", b)))
        reading.start()
        for interruption in range(3):
            time.sleep(0.02 * SLOWNESS * (1 + (number + interruption) % 3))
            id = f"short-{number}-{interruption}"
            answers[id] = ask(two_keys, "key1", {"id": id, "prompt": f"hello {number} {interruption}", "max_tokens": 2})
        reading.join()
        busy.join()
    after = metrics(two_keys)
    assert after["smollm_pauses_total"] > before["smollm_pauses_total"]
    log = {line["id"]: line for line in map(json.loads, filter(lambda l: l.startswith("{"), two_keys.log().splitlines()))}
    for id, answer in answers.items():
        usage, timings, line = answer["usage"], answer["timings"], log[id]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        assert 0 <= cached < usage["prompt_tokens"], (id, usage)
        assert (timings["cache_n"], timings["prompt_n"]) == (cached, usage["prompt_tokens"] - cached)
        assert timings["predicted_n"] == usage["completion_tokens"] == {"long": 3, "busy": 300, "short": 2}[id.split("-")[0]]
        assert (line["prompt_tokens"], line["cached_tokens"], line["completion_tokens"]) == (
            usage["prompt_tokens"], cached, usage["completion_tokens"])
        if id.startswith("long"):
            # No more than the common beginning, which every round but the first finds.
            assert cached <= 240, (id, cached)
        own["prompt"] += usage["prompt_tokens"]
        own["cached"] += cached
        own["generated"] += usage["completion_tokens"]
    for name, key in (("smollm_prompt_tokens_total", "prompt"), ("smollm_cached_tokens_total", "cached"),
                      ("smollm_generated_tokens_total", "generated")):
        assert after[name] - before[name] == own[key], name
    assert after["smollm_requests_finished_total"] - before["smollm_requests_finished_total"] == 5 * rounds


def test_progress_never_goes_back(two_keys):
    """A stream that is told how far its prompt is: processed grows, and covers what is cached."""
    stop = threading.Event()

    def interrupt():
        number = 0
        while not stop.is_set():
            ask(two_keys, "key1", {"id": f"i-{number}", "prompt": f"and {number}", "max_tokens": 1})
            number += 1

    other = threading.Thread(target=interrupt)
    other.start()
    try:
        body = {"prompt": text(9, 500), "max_tokens": 2, "stream": True, "return_progress": True}
        told = []
        with two_keys.http.stream("POST", "/v1/completions", json=body, headers={"Authorization": "Bearer key0"}) as answer:
            for line in answer.iter_lines():
                if '"prompt_progress"' in line:
                    told.append(json.loads(line[6:])["prompt_progress"])
    finally:
        stop.set()
        other.join()
    processed = [p["processed"] for p in told]
    assert len(processed) > 3 and processed == sorted(processed)
    assert all(p["cache"] <= p["processed"] <= p["total"] for p in told)


def test_nothing_generated_is_accounted_too(two_keys):
    """max_tokens 0 reads a prompt into the cache."""
    prompt = text(4, 100) + " zero"
    first = ask(two_keys, "key0", {"id": "z1", "prompt": prompt, "max_tokens": 0})
    assert first["usage"]["completion_tokens"] == 0 and first["choices"][0]["finish_reason"] == "length"
    second = ask(two_keys, "key0", {"id": "z2", "prompt": prompt, "max_tokens": 1})
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == second["usage"]["prompt_tokens"] - 1
