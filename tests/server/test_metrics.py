"""/metrics, read by Prometheus' own parser: what it says of requests that this test knows all about."""
import math
import os
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server_process import SLOWNESS, post

HISTOGRAMS = ["smollm_time_to_first_token_seconds", "smollm_inter_token_seconds", "smollm_queue_seconds",
              "smollm_request_seconds", "smollm_step_seconds", "smollm_batch_tokens", "smollm_cached_prompt_tokens",
              "smollm_draft_accepted_tokens"]


def read(server):
    """Samples by name, with their labels as {label: value} where there are any: "name" or ("name", "label", value)."""
    answer = server.http.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items())) if sample.labels else sample.name
            assert key not in samples and math.isfinite(sample.value) and sample.value >= 0, key
            samples[key] = sample.value
        if family.type == "histogram":
            check_histogram(family)
    return samples


def check_histogram(family):
    buckets = [(float(s.labels["le"]), s.value) for s in family.samples if s.name.endswith("_bucket")]
    count, = (s.value for s in family.samples if s.name.endswith("_count"))
    total, = (s.value for s in family.samples if s.name.endswith("_sum"))
    assert buckets == sorted(buckets) and len({bound for bound, _ in buckets}) == len(buckets) > 5
    assert all(after[1] >= before[1] for before, after in zip(buckets, buckets[1:])), buckets
    assert buckets[-1] == (math.inf, count)
    # No value lies above its bucket's bound.
    most = sum(bound * (value - before) for (bound, value), (_, before) in zip(buckets, [(0, 0), *buckets])
               if value > before)
    assert total <= most * (1 + 1e-9)


def moved(server, before, name, count, seconds=5):
    """The samples once so many more were recorded, and no more follow: a pass is recorded after its tokens are out."""
    end, last = time.monotonic() + seconds * SLOWNESS, None
    while True:
        after = read(server)
        if (after[name] - before[name] >= count and after == last) or time.monotonic() > end:
            assert after[name] - before[name] == count, name
            return after
        last = after
        time.sleep(0.02)


def complete(server, prompt, tokens):
    answer = server.http.post("/completion", json={"prompt": prompt, "n_predict": tokens, "ignore_eos": True})
    assert answer.status_code == 200, answer.text
    return answer.json()["timings"]


def test_every_metric_is_there_from_the_start(start, parrot_path):
    server = start(parrot_path, "--metrics", "-c", "512", "-np", "2")
    samples = read(server)
    assert all(samples[f"{name}_count"] == samples[f"{name}_sum"] == 0 for name in HISTOGRAMS)
    assert samples[("smollm_requests_refused_total", ("status", "429"))] == 0
    assert samples[("vllm:cache_config_info", ("block_size", "32"), ("num_gpu_blocks", "32"))] == 1
    assert samples["smollm_kv_pages"] == 32
    server.stop()


def test_values_move_with_requests(parrot):
    before = read(parrot)
    timings = complete(parrot, "A prompt that nobody has sent here before.", 9)
    after = moved(parrot, before, "smollm_inter_token_seconds_count", 8)
    change = {name: after[name] - before[name] for name in after}
    assert change["smollm_generated_tokens_total"] == 9
    for name in ("smollm_time_to_first_token_seconds", "smollm_queue_seconds", "smollm_request_seconds",
                 "smollm_cached_prompt_tokens"):
        assert change[f"{name}_count"] == 1, name
    assert change["smollm_cached_prompt_tokens_sum"] == timings["cache_n"]
    # The same moments, as the answer tells them in milliseconds.
    first = timings["queue_ms"] + timings["prompt_ms"]
    assert change["smollm_time_to_first_token_seconds_sum"] == pytest.approx(first / 1000, rel=0.1, abs=0.05)
    assert change["smollm_inter_token_seconds_sum"] == pytest.approx(timings["predicted_ms"] / 1000, rel=0.1, abs=0.05)
    assert change["smollm_request_seconds_sum"] >= first / 1000
    steps = change["smollm_step_seconds_count"]
    assert 2 <= steps <= 9 and change["smollm_batch_tokens_count"] == steps
    assert change["smollm_batch_tokens_sum"] >= timings["prompt_n"] + 8


def test_guesses_that_hold_share_the_time_of_their_pass(start, folder):
    from parrot_model import make_parrot

    make_parrot(folder / "round.gguf", ["one ", "two ", "three "], loop=0)
    server = start(folder / "round.gguf", "--metrics", "-np", "1", "-c", "512", "--temp", "0")
    before = read(server)
    timings = complete(server, "a", 60)
    after = moved(server, before, "smollm_inter_token_seconds_count", 59)
    assert after["smollm_draft_accepted_tokens_sum"] == timings["draft_n_accepted"] > 20
    assert after["smollm_accepted_tokens_total"] == timings["draft_n_accepted"]
    assert after["smollm_step_seconds_count"] == 60 - timings["draft_n_accepted"]
    assert after["smollm_batch_tokens_sum"] == 60 + timings["draft_n"] - timings["draft_n_accepted"]
    server.stop()


def test_pages_are_known_and_forgotten(start, parrot_path):
    server = start(parrot_path, "--metrics", "-np", "1", "-c", "256")  # eight pages
    complete(server, "a" * 150, 1)
    first = read(server)
    assert first["smollm_kv_pages_cached"] == 5 and first["smollm_kv_pages_evicted_total"] == 0
    complete(server, "b" * 150, 1)
    second = read(server)
    assert second["smollm_kv_pages_cached"] == 8 and second["smollm_kv_pages_evicted_total"] == 2
    assert second["smollm_kv_pages_used"] == 0
    server.stop()


def test_refusals_are_counted_by_status(parrot):
    statuses = (400, 403, 404, 405, 415, 431)
    key = lambda status: ("smollm_requests_refused_total", ("status", str(status)))
    before = read(parrot)
    assert parrot.http.post("/completion", json={"prompt": 5}).status_code == 400
    assert parrot.http.get("/health", headers={"Host": "other.example"}).status_code == 403
    assert parrot.http.get("/nothing").status_code == 404
    assert parrot.http.get("/completion").status_code == 405
    assert parrot.http.post("/completion", content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert parrot.http.get("/health", headers={"X": "y" * 17000}).status_code == 431
    after = read(parrot)
    assert {status: after[key(status)] - before[key(status)] for status in statuses} == dict.fromkeys(statuses, 1)


def test_metrics_are_read_while_a_prompt_is(start):
    """Twenty times a second, all of it before the prompt is read, and its passes are seen to go by."""
    path = os.environ.get("SMOLLM_TEST_MODEL")
    if not path:
        pytest.skip("SMOLLM_TEST_MODEL names no model")
    server = start(path, "-c", "8192", "-np", "1", "-ub", "64", "--metrics")
    steps, end = [], time.monotonic() + 30 * SLOWNESS
    with server.connect() as connection:
        connection.sendall(post("/completion", '{"prompt": "' + "word " * 8000 + '"}'))
        server.wait_busy()
        while time.monotonic() < end and (len(steps) < 20 or steps[-1] == steps[0]):
            samples = read(server)
            slot, = server.slots()
            if slot["state"] != "prefill":
                break
            assert samples["smollm_requests_running"] == 1
            steps.append(samples["smollm_step_seconds_count"])
            time.sleep(0.05)
    assert len(steps) > 2 and steps[-1] > steps[0], steps
    server.wait_idle()
    server.stop()
