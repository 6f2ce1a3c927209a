"""Clients that leave, that read slowly, and servers that are told to end."""
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from server_process import PROGRAM, SLOWNESS, Server, post, read_all, status_of

BODY = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 50000, "stream": True, "ignore_eos": True}
STREAM = post("/v1/chat/completions", json.dumps(BODY))
WHOLE = post("/v1/chat/completions", json.dumps({**BODY, "stream": False}))


@pytest.mark.parametrize("request_bytes", [STREAM, WHOLE], ids=["stream", "whole"])
def test_leaving_while_decoding(endless, request_bytes):
    connection = endless.connect()
    connection.sendall(request_bytes)
    endless.wait_busy()
    time.sleep(0.1)
    connection.close()
    endless.wait_idle()
    endless.log_line("client left")


def test_leaving_while_reading_the_prompt(small):
    def prompts_read():
        return re.search(r"^smollm_prompt_tokens_total (\d+)$", small.http.get("/metrics").text, re.M)[1]

    before = prompts_read()
    body = {"messages": [{"role": "user", "content": "word " * 1500}], "max_tokens": 5}
    with small.connect() as connection:
        connection.sendall(post("/v1/chat/completions", json.dumps(body)))
        small.wait_busy()
    small.wait_idle()
    assert prompts_read() == before, "the prompt was read to its end"
    assert small.http.post("/completion", json={"prompt": "a", "n_predict": 1}).status_code == 200


def test_leaving_the_queue(endless):
    """Two slots work; what waits behind them is dropped at once when its client goes."""
    connections = [endless.connect() for _ in range(6)]
    for connection in connections:
        connection.sendall(STREAM)
    endless.wait_busy(2)
    for connection in connections[2:]:
        connection.close()
    for connection in connections[:2]:
        connection.close()
    endless.wait_idle()
    assert endless.http.post("/completion", json={"prompt": "a", "n_predict": 1}).status_code == 200


def test_many_leave(endless):
    """A storm of clients that go at any moment leaves nothing behind."""
    import random
    draw = random.Random(5)

    def visit(delay, cut):
        connection = endless.connect()
        connection.sendall(STREAM[:cut])
        time.sleep(delay)
        connection.close()

    threads = [threading.Thread(target=visit, args=(draw.random() * 0.3, draw.choice([10, 200, len(STREAM)])))
               for _ in range(80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    endless.wait_idle()
    assert endless.http.post("/completion", json={"prompt": "a", "n_predict": 1}).status_code == 200


def test_slow_reader_holds_up_nobody(start, endless_path):
    """One reads nothing and is dropped after --timeout; meanwhile another gets its answer, and the engine waits for the
    first instead of piling up its text."""
    server = start(endless_path, "-c", "60000", "-np", "2", "--timeout", 3 * min(SLOWNESS, 5), "--temp", "0")
    slow = server.connect(receive_buffer=4096)
    slow.sendall(STREAM)
    server.wait_busy()
    generated, before = 0, -1
    while generated == 0 or generated != before:  # until its buffers are full
        before = generated
        time.sleep(0.4)
        generated = max(slot["n_decoded"] for slot in server.slots())
    assert generated < 100
    assert server.http.post("/v1/chat/completions", json={**BODY, "stream": False, "max_tokens": 20}).status_code == 200
    assert max(slot["n_decoded"] for slot in server.slots()) == generated, "the parked conversation went on"
    server.log_line("stalled", 4 * min(SLOWNESS, 5))
    server.wait_idle()
    slow.close()
    server.stop()


def test_slow_but_steady_reader_is_kept(endless):
    body = json.dumps({**BODY, "max_tokens": 36})
    with endless.connect(receive_buffer=4096) as connection:
        connection.sendall(post("/v1/chat/completions", body, "Connection: close"))
        received, begin = b"", time.monotonic()
        while time.monotonic() - begin < 4:  # twice the stall deadline
            received += connection.recv(2000)
            time.sleep(0.1)
        received += read_all(connection)
    assert received.endswith(b"0\r\n\r\n") and b"[DONE]" in received


def test_busy(start, endless_path):
    server = start(endless_path, "-np", "1", "-c", "4096", "--metrics")
    connections = [server.connect() for _ in range(80)]
    for connection in connections:  # no streams: those would give way, as nobody reads them
        connection.sendall(WHOLE)
    connections[-1].settimeout(10)
    refused = connections[-1].recv(4096)
    assert status_of(refused) == 429 and int(re.search(rb"Retry-After: (\d+)", refused, re.I)[1]) >= 1
    assert b'"queue_full"' in refused
    assert server.http.get("/health").status_code == 200
    assert re.search(r'^smollm_requests_refused_total{status="429"} [1-9]', server.http.get("/metrics").text, re.M)
    for connection in connections:
        connection.close()
    server.wait_idle()
    server.stop()


def test_readers_who_take_nothing_make_room(start, endless_path):
    """More of them than there are places and than may wait: others are served all the same."""
    server = start(endless_path, "-np", "1", "-c", "4096", "--metrics")
    connections = [server.connect(receive_buffer=4096) for _ in range(70)]
    for connection in connections:
        connection.sendall(STREAM)
        time.sleep(0.005)
    answer = None
    for _ in range(100):
        answer = server.http.post("/completion", json={"prompt": "a", "n_predict": 3})
        if answer.status_code != 429:
            break
        time.sleep(0.1 * SLOWNESS)
    assert answer.status_code == 200
    assert re.search(r"^smollm_pauses_total [1-9]", server.http.get("/metrics").text, re.M)
    for connection in connections:
        connection.close()
    server.wait_idle()
    server.stop()


def test_sigterm_tells_streams(start, endless_path):
    """A stream that cannot finish gets an error event within ten seconds; new requests get 503 meanwhile."""
    server = start(endless_path, "-c", "60000")
    connection, kept, whole = server.connect(), server.connect(), server.connect()
    kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
    connection.sendall(STREAM)
    whole.sendall(WHOLE)
    server.wait_busy(2)
    received = []
    readers = [threading.Thread(target=lambda c=c: received.append(read_all(c))) for c in (connection, whole)]
    for reader in readers:
        reader.start()
    begin = time.monotonic()
    server.http.close()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    # Who asks meanwhile is told, at once, and not by the kernel.
    assert status_of(server.raw(STREAM)) == 503
    kept.sendall(b"y\r\n\r\n")
    health = read_all(kept)
    assert status_of(health) == 503 and b'"draining"' in health and b"Connection: close" in health
    server.stop(signal_number=0)
    assert time.monotonic() - begin < 10
    for reader in readers:
        reader.join()
    received.sort(key=len)
    assert status_of(received[0]) == 503 and b"shutting_down" in received[0]
    event = received[1].rpartition(b"data: ")[2].partition(b"\n")[0]
    assert json.loads(event)["error"]["code"] == "shutting_down" and received[1].endswith(b"0\r\n\r\n")


def test_sigterm_lets_answers_finish(start, endless_path):
    server = start(endless_path, "-c", "60000")
    with server.connect() as connection:
        connection.sendall(post("/v1/chat/completions", json.dumps({**BODY, "max_tokens": 200})))
        server.wait_busy()
        server.http.close()
        server.process.send_signal(signal.SIGINT)
        received = read_all(connection)
    assert b"[DONE]" in received and received.endswith(b"0\r\n\r\n")
    server.stop()


def test_second_signal_ends_at_once(start, endless_path):
    server = start(endless_path, "-c", "60000")
    with server.connect() as connection:
        connection.sendall(STREAM)
        server.wait_busy()
        begin = time.monotonic()
        server.http.close()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert b"shutting_down" in read_all(connection)
    server.stop(signal_number=0)
    assert time.monotonic() - begin < 8  # without the second: 10


def test_ends_when_idle(start, parrot_path):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = start(parrot_path)
        idle = server.connect()
        begin = time.monotonic()
        server.stop(number)
        assert time.monotonic() - begin < 8
        idle.close()


def fails(*arguments):
    result = subprocess.run([PROGRAM, "serve", *map(str, arguments)], capture_output=True, text=True, timeout=20)
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("smollm"), result.stderr
    assert result.stdout == ""
    return result.returncode, result.stderr


def test_second_server_on_the_port(parrot, parrot_path):
    code, message = fails(parrot_path, "--port", parrot.port)
    assert code == 1 and str(parrot.port) in message and "in use" in message


def test_open_address_needs_a_key(parrot_path, folder, start):
    code, message = fails(parrot_path, "--host", "0.0.0.0", "--port", "0")
    assert code == 1 and "--api-key" in message
    assert "cannot" in fails(parrot_path, "--host", "203.0.113.5", "--port", "0", "--api-key", "k")[1]
    assert fails(parrot_path, "--host", ":::", "--port", "0", "--api-key", "k")[0] == 1
    (folder / "no-keys").write_text("# none\n")
    for options in (["--api-key", ""], ["--api-key", "a b"], ["--api-key-file", folder / "no-keys"],
                    ["--api-key-file", folder / "missing"]):
        assert fails(parrot_path, "--port", "0", *options)[0] == 1
    server = start(parrot_path, "--host", "0.0.0.0", "--api-key", "k")
    assert server.openai(api_key="k").models.list().data
    server.stop()


@pytest.mark.parametrize("option, value, words", [
    ("--parallel", "-1", "1 to 1024"), ("--parallel", "0", "1 to 1024"), ("--parallel", "100000", "1 to 1024"),
    ("--parallel", "1e3", "1 to 1024"), ("--parallel", "4x", "1 to 1024"), ("--parallel", "", "1 to 1024"),
    ("--parallel", "9" * 30, "1 to 1024"), ("--ctx-size", "-1", "0 to 16777216"),
    ("--ctx-size", "16777217", "0 to 16777216"), ("--ctx-size", "nan", "0 to 16777216"), ("--ubatch-size", "0", "1 to 8192"),
    ("--threads", "-4", "0 to 1024"), ("--port", "65536", "0 to 65535"), ("--timeout", "0", "1 to 86400"),
])
def test_sizes_out_of_range(parrot_path, monkeypatch, option, value, words):
    code, message = fails(parrot_path, option, value)
    assert code == 2 and f"{option} takes" in message and f"from {words}, not '{value}'" in message, message
    if not value:  # in the environment that is no value
        return
    name = "SMOLLM_" + option[2:].upper().replace("-", "_")
    monkeypatch.setenv(name, value)
    code, message = fails(parrot_path)
    assert code == 2 and f"not '{value}' (from {name})" in message, message


def test_contexts_that_do_not_fit(parrot_path, folder):
    """More than the model reads; more than there is memory for, with both sizes and what to do."""
    from parrot_model import make_parrot

    code, message = fails(parrot_path, "--port", "0", "--ctx-size", "4097")
    assert code == 1 and "4097" in message and "4096" in message and "--ctx-size" in message, message
    make_parrot(folder / "vast.gguf", ["a"], context=1 << 24)
    code, message = fails(folder / "vast.gguf", "--port", "0", "--ctx-size", 1 << 24, "--parallel", "1024")
    assert code == 1 and str(1 << 24) in message and "1024 conversations" in message, message
    needed, *_, free = map(float, re.findall(r"([0-9.]+) GiB", message))
    assert needed > 4096 > free > 0 and "--ctx-size, --parallel or --kv-memory" in message


def test_ipv6(parrot_path, folder):
    try:
        server = Server(folder, parrot_path, "--host", "::1")
    except AssertionError as error:
        if "cannot listen" in str(error) or "cannot make" in str(error):
            pytest.skip("no IPv6 here")
        raise
    assert server.http.get("/health").status_code == 200
    server.stop()


def test_model_file_deleted_while_serving(start, folder, parrot_path):
    path = folder / "short-lived.gguf"
    path.write_bytes(parrot_path.read_bytes())
    server = start(path)
    path.write_bytes(b"")
    path.unlink()
    assert server.http.post("/completion", json={"prompt": "a", "n_predict": 3}).json()["content"].startswith("<think>")
    server.stop()


def test_deadlines_end_what_nobody_waits_for(endless):
    """In the queue with 503 and Retry-After, in a stream with an error event."""
    busy = [endless.connect() for _ in range(2)]
    for connection in busy:
        connection.sendall(STREAM)
    endless.wait_busy(2)
    late = endless.http.post("/v1/chat/completions", json={**BODY, "stream": False, "deadline_ms": 100})
    assert late.status_code == 503 and late.json()["error"]["code"] == "deadline_exceeded"
    for connection in busy:
        connection.close()
    endless.wait_idle()
    cut = endless.http.post("/v1/chat/completions", json={**BODY, "deadline_ms": 200}).text
    assert '"deadline_exceeded"' in cut and cut.count("data: ") > 1
    for wrong in ({"deadline_ms": -1}, {"deadline_ms": 1 << 40}, {"priority": 1.5}, {"priority": 1001}):
        refused = endless.http.post("/v1/chat/completions", json={**BODY, **wrong})
        assert refused.status_code == 400 and refused.json()["error"]["param"] == next(iter(wrong))


def test_a_budget_for_all_conversations(parrot_path, folder):
    """--kv-memory: in units, one conversation at least; the context fits itself into it where none is asked for."""
    for size, wrong in (("x", "x"), ("-1G", "-1G"), ("4X", "4X"), ("1e30", "1e30")):
        code, message = fails(parrot_path, "--port", "0", "--kv-memory", size)
        assert code == 2 and "--kv-memory takes a size such as 512M or 4G" in message and f"'{wrong}'" in message
    code, message = fails(parrot_path, "--port", "0", "--kv-memory", "16K", "-c", "4096")
    assert code == 1 and "4096 tokens" in message and "--kv-memory" in message, message
    server = Server(folder, parrot_path, "--kv-memory", "0.5M", "--metrics", "-np", "8")
    pages = int(re.search(r"^smollm_kv_pages (\d+)$", server.http.get("/metrics").text, re.M)[1])
    context = server.http.get("/props").json()["default_generation_settings"]["n_ctx"]
    assert 0 < context <= pages * 32 and context % 32 == 0
    assert server.http.post("/completion", json={"prompt": "a", "n_predict": 4}).status_code == 200
    too_long = server.http.post("/completion", json={"prompt": "a" * (context + 1), "n_predict": 4})
    assert too_long.status_code == 400 and too_long.json()["error"]["code"] == "context_length_exceeded"
    server.stop()
