"""What SDKs cannot send wrong: raw sockets against the server's limits, hosts, origins and methods."""
import gzip
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from server_process import PROGRAM, keep_reading, post, read_all, status_of

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
    bare = start(parrot_path, "--no-ui", "--no-slots")
    hidden = bare.http.get("/slots")
    assert hidden.status_code == 501 and "--no-slots" in hidden.json()["error"]["message"]
    assert bare.http.get("/").headers["content-type"].startswith("text/plain")
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


def test_origins_of_this_machine(start, parrot_path):
    server = start(parrot_path, "--allow-origin", "localhost")
    ask = {"Access-Control-Request-Method": "POST"}
    for origin in ("http://localhost", "http://localhost:8080", "https://127.0.0.1:3000", "http://[::1]:5"):
        assert server.http.options("/v1/models", headers={"Origin": origin, **ask}).headers["access-control-allow-origin"] == origin
    for origin in ("http://notlocalhost", "http://localhost.evil.com", "http://evil.com", "ftp://localhost", "null"):
        assert "access-control-allow-origin" not in server.http.options("/v1/models", headers={"Origin": origin, **ask}).headers
    server.stop()


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
    line = parrot.log_line(r"POST /v1/completions 200 .* done prompt=15 cached=\d+ completion=1 .* finish=length id=req-[0-9a-f]{16}$")
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
    server = start(path, "--log-format", "json", "--metrics", "-np", "1", "-c", "4096", "--temp", "0")
    body = '{"prompt": [1, 2, 3, 4], "n_predict": 4000, "stream": true, "ignore_eos": true}'
    reading, waiting = server.connect(), server.connect()
    reading.sendall(post("/completion", body))
    received = b""
    while received.count(b"data: ") < 5:
        received += reading.recv(4096)
    keep_reading(reading)
    waiting.sendall(post("/v1/completion", body))
    server.wait_waiting()
    time.sleep(0.06)
    waiting.close()
    line = logged(server, "/v1/completion")
    assert (line["prompt_tokens"], line["completion_tokens"], line["ttft_ms"]) == (4, 0, None)
    assert line["finish"] == "canceled" and line["end"] == "client left" and line["queue_ms"] >= 50
    reading.shutdown(socket.SHUT_RDWR)
    line = logged(server, "/completion")
    assert line["finish"] == "canceled" and line["completion_tokens"] >= 5 and 0 < line["ttft_ms"] <= line["ms"]
    server.stop()


# ---- Clients that do not behave like browsers ----

def test_http_1_0_without_host(parrot):
    """What load balancers' health checks send (HAProxy's `option httpchk`)."""
    answer = parrot.raw(b"GET /health HTTP/1.0\r\n\r\n")
    assert status_of(answer) == 200 and answer.endswith(b'{"status":"ok"}')
    assert status_of(parrot.raw(b"GET /health HTTP/1.1\r\n\r\n")) == 400
    assert status_of(parrot.raw(b"GET /health HTTP/1.0\r\nHost: evil.example\r\n\r\n")) == 403


@pytest.mark.parametrize("path, extra", [("/health", None), ("/tokenize", {"content": "ab"}),
                                         ("/v1/chat/completions", {"stream": True}),
                                         ("/v1/chat/completions", {"stream": False}), ("/", None)])
def test_half_closed_clients_are_answered(parrot, path, extra):
    """A client may say that it has sent its last byte and read on, as `nc -N` does."""
    if extra is None:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    else:
        request = post(path, json.dumps({**json.loads(CHAT), "max_tokens": 60, "ignore_eos": True, **extra}))
    with parrot.connect() as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    final = answer[answer.rindex(b"HTTP/1.1 200"):]
    assert final.count(b"\r\n\r\n") >= 1 and len(final) > 300
    parrot.wait_idle()


def test_two_requests_then_half_closed(parrot):
    with parrot.connect() as connection:
        connection.sendall(GET + b"\r\n" + GET + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b"HTTP/1.1 200") == 2


def test_half_a_request_then_half_closed(parrot):
    with parrot.connect() as connection:
        connection.sendall(GET)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""


def test_request_ids(parrot):
    """A client's own id comes back and stands in the log; another is made where there is none that can."""
    answer = parrot.http.get("/health", headers={"X-Request-Id": "trace-1/2:3+4=5_6.7"})
    assert answer.headers["x-request-id"] == "trace-1/2:3+4=5_6.7"
    assert "id=trace-1/2:3+4=5_6.7" in parrot.log_line("trace-1")
    made = [parrot.http.get("/health", headers=headers).headers["x-request-id"]
            for headers in ({}, {"X-Request-Id": "two words"}, {"X-Request-Id": "x" * 65}, {"X-Request-Id": '"'})]
    assert all(re.fullmatch("req-[0-9a-f]{16}", id) for id in made) and len(set(made)) == 4
    refused = parrot.http.post("/v1/chat/completions", json={}, headers={"X-Request-Id": "mine"})
    assert refused.status_code == 400 and refused.headers["x-request-id"] == "mine"
    stream = parrot.http.post("/v1/chat/completions", json={**json.loads(CHAT), "stream": True},
                              headers={"X-Request-Id": "streamed"})
    assert stream.headers["x-request-id"] == "streamed" and stream.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("origin, site, forwarded, status", [
    ("https://chat.example.org", "same-origin", None, 200),  # a proxy changed Host
    ("https://chat.example.org", "none", None, 200),
    ("https://chat.example.org", "cross-site", None, 403),
    ("https://chat.example.org", "same-site", None, 403),
    ("https://chat.example.org", None, None, 403),  # an older browser
    ("https://chat.example.org", None, "chat.example.org", 200),
    ("https://chat.example.org", None, "other.example.org", 403),
    ("https://chat.example.org", "cross-site", "chat.example.org", 403),
])
def test_pages_behind_proxies(parrot, origin, site, forwarded, status):
    headers = {"Origin": origin, **({"Sec-Fetch-Site": site} if site else {}),
               **({"X-Forwarded-Host": forwarded} if forwarded else {})}
    answer = parrot.http.post("/v1/chat/completions", json=json.loads(CHAT), headers=headers)
    assert answer.status_code == status and "access-control-allow-origin" not in answer.headers


def test_allowed_origins(start, parrot_path):
    """Pages of an origin that the administrator named may use the API, of no other; without credentials."""
    page, other = "https://chat.example.org", "https://evil.example"
    server = start(parrot_path, "--allow-origin", page, "--allow-origin", "http://localhost:5173", "--api-key", "k")
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    allowed = server.http.options("/v1/chat/completions", headers={"Origin": page, **ask})
    assert allowed.status_code == 200 and allowed.content == b"" and allowed.headers["access-control-allow-origin"] == page
    assert {"*", "authorization", "content-type"} <= set(allowed.headers["access-control-allow-headers"].lower().split(", "))
    assert "POST" in allowed.headers["access-control-allow-methods"] and allowed.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in allowed.headers
    refused = server.http.options("/v1/chat/completions", headers={"Origin": other, **ask})
    assert refused.status_code in (401, 403, 405) and "access-control-allow-origin" not in refused.headers
    key = {"Authorization": "Bearer k"}
    for origin, status in ((page, 200), ("http://localhost:5173", 200), (other, 403), ("null", 403)):
        answer = server.http.post("/v1/chat/completions", json=json.loads(CHAT),
                                  headers={"Origin": origin, "Sec-Fetch-Site": "cross-site", **key})
        assert answer.status_code == status
        assert answer.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
    # An error can be read by the page too, and a GET.
    wrong = server.http.post("/v1/chat/completions", json={}, headers={"Origin": page, **key})
    assert wrong.status_code == 400 and wrong.headers["access-control-allow-origin"] == page
    models = server.http.get("/v1/models", headers={"Origin": page, **key})
    assert models.headers["access-control-allow-origin"] == page
    assert server.http.get("/v1/models", headers={"Origin": page}).status_code == 401
    server.stop()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def test_several_addresses(start, parrot_path):
    """All at one port, with one limit for connections, and all of them end together."""
    server = start(parrot_path, "--host", "127.0.0.1,127.0.0.2,[::1]" if has_ipv6() else "127.0.0.1,127.0.0.2", "--api-key", "k")
    addresses = re.findall(r"http://(\S+):(\d+)", server.line)
    assert len(addresses) == 2 + has_ipv6() and len({port for _, port in addresses}) == 1
    for host, port in addresses:
        with socket.create_connection((host.strip("[]"), int(port)), 10) as connection:
            connection.sendall(f"GET /v1/models HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer k\r\nConnection: close\r\n\r\n".encode())
            assert status_of(read_all(connection)) == 200
    server.stop()
    for host, port in addresses:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host.strip("[]"), int(port)), 10)


@pytest.mark.parametrize("host, word", [("127.0.0.1,", "0 bytes"), ("", "0 bytes"), ("127.0.0.1,nowhere.invalid", "nowhere.invalid"),
                                        (",".join(f"127.0.0.{i}" for i in range(1, 10)), "more than 8"), ("a" * 80, "80 bytes"),
                                        ("127.0.0.1,0.0.0.0", "API key")])
def test_wrong_addresses(parrot_path, host, word):
    done = subprocess.run([PROGRAM, "serve", parrot_path, "--port", "0", "--host", host], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and word in done.stderr


def test_ipv4_clients_of_an_ipv6_listener(start, parrot_path):
    """--host :: serves both; an IPv4 client may use the machine's address, as a kubelet's probe does."""
    try:
        server = start(parrot_path, "--host", "::", "--api-key", "k")
    except AssertionError:
        pytest.skip("this machine has no IPv6")
    for host in ("127.0.0.1", "localhost"):
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(f"GET /health HTTP/1.1\r\nHost: {host}:{server.port}\r\nConnection: close\r\n\r\n".encode())
            assert status_of(read_all(connection)) == 200
    with socket.create_connection(("127.0.0.2", server.port), 10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.2\r\nConnection: close\r\n\r\n")
        assert status_of(read_all(connection)) == 200
    server.log_line("127.0.0.1 GET /health 200")
    assert "::ffff" not in server.log()
    server.process.terminate()
    server.process.wait(10)
    bracketed = start(parrot_path, "--host", "[::1]")
    assert bracketed.line.endswith(f" at http://[::1]:{bracketed.port}\n")
    bracketed.stop()


def test_417_is_counted(parrot):
    before = parrot.http.get("/metrics").text
    parrot.raw(b"POST /completion HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n{}")
    name = 'smollm_requests_refused_total{status="417"} '
    count = lambda text: int(text.split(name)[1].split("\n")[0])
    assert count(parrot.http.get("/metrics").text) == count(before) + 1
