"""What SDKs cannot send wrong: raw sockets against the server's limits, hosts, origins and methods."""
import gzip
import json
import os
import socket
import threading
import time

import pytest

from server_process import keep_reading, post, read_all, status_of

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
CHAT = json.dumps({"messages": [{"role": "user", "content": "x"}], "max_tokens": 2})


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
    (b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505),
    (GET + b"Host: localhost\r\n\r\n", 400),
    (GET + b"X : y\r\n\r\n", 400),
    (GET + b"X: " + b"y" * 17000 + b"\r\n\r\n", 431),
    (b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    (b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n", 413),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403),
    (post("/completion", "{}", "Origin: http://evil.example", "Connection: close"), 403),
    (post("/completion", "{}", "Sec-Fetch-Site: cross-site", "Connection: close"), 403),
    (b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415),
    (b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415),
    (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 404),
    (b"GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
])
def test_refused(parrot, request_bytes, status):
    answer = parrot.raw(request_bytes)
    assert status_of(answer) == status, answer[:300]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower() and b"access-control" not in head.lower()
    assert json.loads(body)["error"]["message"]


def test_methods(parrot):
    for method, path, allow in (("GET", "/v1/chat/completions", "POST"), ("POST", "/health", "GET, HEAD"),
                                ("DELETE", "/v1/models", "GET, HEAD"), ("PUT", "/", "GET, HEAD"),
                                ("OPTIONS", "/v1/chat/completions", "POST")):
        answer = parrot.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    head = parrot.http.head("/health")
    assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 0


def test_page(parrot, start, parrot_path):
    page = parrot.http.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    script = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in script and "*" not in policy and "http" not in policy
    assert page.headers["x-content-type-options"] == "nosniff" and page.headers["x-frame-options"] == "DENY"
    bare = start(parrot_path, "--no-ui")
    assert bare.http.get("/").status_code == 404
    bare.stop()


def plain_get(server, method="GET", **fields):
    """One request with exactly these fields; the head as a dictionary, and the body as it came."""
    lines = [f"{method} / HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    head, _, body = server.raw("\r\n".join([*lines, "", ""]).encode()).partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    return int(status.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}, body


def test_page_is_compressed_for_clients_that_read_gzip(parrot):
    status, head, plain = plain_get(parrot)
    assert status == 200 and "content-encoding" not in head and head["vary"] == "Accept-Encoding"
    assert int(head["content-length"]) == len(plain) and plain.startswith(b"<!doctype html>")
    status, packed_head, packed = plain_get(parrot, Accept_Encoding="gzip, deflate, br")
    assert status == 200 and packed_head["content-encoding"] == "gzip" and packed_head["vary"] == "Accept-Encoding"
    assert int(packed_head["content-length"]) == len(packed) < len(plain) / 2
    assert gzip.decompress(packed) == plain
    assert packed_head["etag"] != head["etag"] and all(tag[0] == tag[-1] == '"' for tag in (head["etag"], packed_head["etag"]))
    assert plain_get(parrot, Accept_Encoding="gzip;q=0")[2] == plain


def test_page_is_sent_once(parrot):
    for fields in ({}, {"Accept_Encoding": "gzip"}):
        status, head, body = plain_get(parrot, **fields)
        for known in (head["etag"], f'W/{head["etag"]}', f'"other", {head["etag"]}', "*"):
            for method in ("GET", "HEAD"):
                status, again, nothing = plain_get(parrot, method, If_None_Match=known, **fields)
                assert (status, nothing) == (304, b"") and "content-length" not in again
                assert all(again[name] == head[name] for name in ("etag", "vary", "cache-control", "content-security-policy"))
        status, again, nothing = plain_get(parrot, "HEAD", **fields)
        assert (status, nothing) == (200, b"") and again["content-length"] == str(len(body)) and again["etag"] == head["etag"]
        assert plain_get(parrot, If_None_Match='"other"', **fields)[0] == 200
    # A connection goes on after a 304.
    answers = parrot.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n\r\n" + GET + b"Connection: close\r\n\r\n")
    assert answers.startswith(b"HTTP/1.1 304 Not Modified\r\n") and answers.endswith(b'{"status":"ok"}')


def test_allowed_host(start, parrot_path):
    server = start(parrot_path, "--allow-host", "box.example")
    for host, status in (("box.example", 200), ("BOX.example:80", 200), ("other.example", 403)):
        assert server.http.get("/health", headers={"Host": host}).status_code == status
    server.stop()


def test_same_origin_post(parrot):
    body = json.loads(CHAT)
    origin = {"Origin": parrot.url, "Sec-Fetch-Site": "same-origin"}
    assert parrot.http.post("/v1/chat/completions", json=body, headers=origin).status_code == 200


def test_pieces_and_pipelining(parrot):
    """Byte by byte, and two requests in one packet, the second chunked: answered in order."""
    with parrot.connect() as connection:
        for byte in GET + b"\r\n":
            connection.sendall(bytes([byte]))
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        data = CHAT.encode()
        chunked = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                   + b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in data) + b"0\r\n\r\n")
        connection.sendall(post("/tokenize", '{"content": "ab"}') + chunked)
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b'"tokens"') < answer.index(b"chat.completion")


def test_too_much_sent_ahead(parrot):
    with parrot.connect() as connection:
        connection.sendall(post("/completion", '{"prompt": "a", "n_predict": 100, "ignore_eos": true}'))
        connection.sendall(b"x" * 200000)
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1") <= 2
    parrot.wait_idle()


def test_expect_continue(parrot):
    data = CHAT.encode()
    head = post("/v1/chat/completions", data, "Expect: 100-continue", "Connection: close")[:-len(data)]
    with parrot.connect() as connection:
        connection.sendall(head)
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(data)
        assert status_of(read_all(connection)) == 200
    with parrot.connect() as connection:  # refused before the body is sent
        connection.sendall(head.replace(b"application/json", b"text/plain"))
        assert status_of(read_all(connection)) == 415


def test_http_10(parrot):
    body = json.dumps({**json.loads(CHAT), "stream": True})
    answer = parrot.raw(post("/v1/chat/completions", body).replace(b"HTTP/1.1", b"HTTP/1.0"))
    head, _, events = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head and events.startswith(b"data: {") and events.endswith(b"data: [DONE]\n\n")


def test_oversized_body_gets_an_answer(parrot):
    """The client sends all of it before it reads."""
    answer = parrot.http.post("/completion", content=b"x" * (9 << 20), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    chunks = iter([b"y" * (1 << 20)] * 9)
    answer = parrot.raw(b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n"
                        + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks))
    assert status_of(answer) == 413


def test_all_bodies_together_are_bounded(start, parrot_path):
    """64 MiB for all: the ninth of 8 MiB waits for nobody and is told so."""
    server = start(parrot_path)
    head = post("/completion", b"")
    connections = []
    for _ in range(8):
        connections.append(server.connect())
        connections[-1].sendall(head.replace(b"Length: 0", b"Length: 8388608"))
    time.sleep(0.3)
    answer = server.raw(head.replace(b"Length: 0", b"Length: 8388608"))
    assert status_of(answer) == 503 and b"Retry-After" in answer
    for connection in connections:
        connection.close()
    time.sleep(0.3)
    assert status_of(server.raw(post("/completion", "{}", "Connection: close"))) == 400
    server.stop()


def test_deadlines(parrot):
    """Ten seconds for a head, by the server's clock: neither silence nor a byte now and then lasts longer."""
    results = {}

    def silent():
        begin = time.monotonic()
        with parrot.connect() as connection:
            results["silent"] = (read_all(connection), time.monotonic() - begin)

    def dripping():
        begin = time.monotonic()
        with parrot.connect() as connection:
            connection.settimeout(0.5)
            data, answer = iter(GET + b"X: " + b"y" * 100), b""
            while time.monotonic() - begin < 15:
                try:
                    connection.sendall(bytes([next(data)]))
                    answer = connection.recv(4096)
                    break
                except socket.timeout:
                    continue
                except OSError:
                    break
            results["dripping"] = (answer, time.monotonic() - begin)

    threads = [threading.Thread(target=job) for job in (silent, dripping)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results["silent"][0] == b"" and 9 < results["silent"][1] < 12
    assert status_of(results["dripping"][0]) == 408 and 9 < results["dripping"][1] < 12


def test_log_has_no_contents(parrot):
    parrot.http.post("/v1/completions?secret=query", json={"prompt": "my secret words", "max_tokens": 1})
    line = parrot.log_line(r"POST /v1/completions 200 .* done prompt=15 cached=\d+ completion=1 .* finish=length$")
    assert "secret" not in parrot.log() and "?" not in line


def test_json_log(start, parrot_path):
    server = start(parrot_path, "--log-format", "json")
    server.http.get("/health")
    server.raw(b"GET /\"quote HTTP/1.1\r\nHost: localhost\r\n\r\n")
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    assert [line["status"] for line in lines] == [200, 400]
    assert lines[0]["path"] == "/health" and lines[0]["end"] == "done" and lines[0]["bytes"] > 0
    assert "finish" not in lines[0] and "prompt_tokens" not in lines[1]


def logged(server, path):
    line = server.log_line(f'"path":"{path}"')
    return json.loads(line)


def test_log_tells_what_was_generated(start, parrot_path):
    """As the answer itself does, in both formats; prompts and answers are not in it."""
    server = start(parrot_path, "--log-format", "json")
    ask = {"messages": [{"role": "user", "content": "my secret words"}], "max_tokens": 6}
    answer = server.http.post("/v1/chat/completions", json=ask).json()
    line, usage, timings = logged(server, "/v1/chat/completions"), answer["usage"], answer["timings"]
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (usage["prompt_tokens"], 6, 0)
    assert line["finish"] == "length" and line["queue_ms"] == pytest.approx(timings["queue_ms"], abs=0.06)
    assert line["ttft_ms"] == pytest.approx(timings["queue_ms"] + timings["prompt_ms"], abs=0.11)
    server.http.post("/completions", json={"prompt": ["a", "bc"], "max_tokens": 3, "n": 2})
    line = logged(server, "/completions")
    assert (line["prompt_tokens"], line["completion_tokens"], line["finish"]) == (3, 12, "length")
    server.http.post("/chat/completions", json={**ask, "max_tokens": 40, "tools": [
        {"type": "function", "function": {"name": "get_weather"}}]})
    assert logged(server, "/chat/completions")["finish"] == "tool_calls"
    assert server.http.post("/completion", json={"prompt": 5}).status_code == 400
    assert "finish" not in logged(server, "/completion")
    server.stop()
    assert "secret" not in server.log()


def test_log_tells_how_far_a_left_answer_came(start):
    path = os.environ.get("SMOLLM_TEST_MODEL")
    if not path:
        pytest.skip("SMOLLM_TEST_MODEL names no model")
    server = start(path, "--log-format", "json", "-np", "1", "-c", "4096", "--temp", "0")
    body = '{"prompt": [1, 2, 3, 4], "n_predict": 4000, "stream": true, "ignore_eos": true}'
    reading, waiting = server.connect(), server.connect()
    reading.sendall(post("/completion", body))
    received = b""
    while received.count(b"data: ") < 5:
        received += reading.recv(4096)
    keep_reading(reading)
    waiting.sendall(post("/v1/completion", body))
    assert waiting.recv(4096).startswith(b"HTTP/1.1 200")
    time.sleep(0.05)
    waiting.close()
    line = logged(server, "/v1/completion")
    assert (line["prompt_tokens"], line["completion_tokens"], line["ttft_ms"]) == (4, 0, None)
    assert line["finish"] == "canceled" and line["end"] == "client left" and line["queue_ms"] >= 50
    reading.shutdown(socket.SHUT_RDWR)
    line = logged(server, "/completion")
    assert line["finish"] == "canceled" and line["completion_tokens"] >= 5 and 0 < line["ttft_ms"] <= line["ms"]
    server.stop()
