"""What a hostile or careless client, or whoever reads the log, cannot do to others."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from server_process import PROGRAM, SLOWNESS, Server, post, read_all, status_of


@pytest.fixture
def served(folder):
    servers = []

    def start(model, *arguments):
        servers.append(Server(folder, model, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()


# Words that merge for long: a second or more for 8 MiB.
LONG = ("a" * 900000 + " ") * 8


def test_tokenizing_ends_when_its_client_leaves(served):
    """Seven large texts whose clients have left keep nobody waiting."""
    server = served(os.environ["SMOLLM_TEST_MODEL"], "-c", "2048")
    request = post("/tokenize", json.dumps({"content": LONG}))
    begin = time.monotonic()
    assert server.http.post("/tokenize", content=json.dumps({"content": LONG}), headers={"Content-Type": "application/json"}).status_code == 200
    alone = time.monotonic() - begin
    assert alone > 0.5  # otherwise this shows nothing
    connections = [server.connect() for _ in range(7)]
    for connection in connections:
        connection.sendall(request)
    time.sleep(0.3)
    for connection in connections:
        connection.close()
    time.sleep(0.1)
    begin = time.monotonic()
    assert server.http.post("/tokenize", json={"content": "short"}).status_code == 200
    waited = time.monotonic() - begin
    assert waited < alone / 2, (waited, alone)


def test_sigterm_ends_what_is_tokenized(served):
    server = served(os.environ["SMOLLM_TEST_MODEL"], "-c", "2048", "--drain-timeout", "0")
    connections = [server.connect() for _ in range(8)]
    for connection in connections:
        connection.sendall(post("/tokenize", json.dumps({"content": LONG})))
    time.sleep(0.5)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10 * SLOWNESS) == 0
    assert time.monotonic() - begin < 5 * SLOWNESS
    for connection in connections:
        connection.close()


def test_a_prompt_that_cannot_fit_is_refused_at_once(small):
    """Its size alone says so, and the error has the words that clients look for."""
    for path, body in (("/v1/completions", {"prompt": "a b " * 1500000}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a b " * 1500000}]}),
                       ("/completion", {"prompt": "a" * 6000000})):
        begin = time.monotonic()
        answer = small.http.post(path, json=body)
        assert answer.status_code == 400 and "prompt is too long" in answer.text and "maximum context length is 2048 tokens" in answer.text, answer.text
        assert time.monotonic() - begin < 1 * SLOWNESS


def test_a_giant_word_is_refused(small):
    answer = small.http.post("/tokenize", json={"content": "a" * (1 << 20) + "b"})
    assert answer.status_code == 400 and "a word of 1048577 bytes" in answer.text
    assert small.http.post("/tokenize", json={"content": "a" * (1 << 20)}).status_code == 200


def test_a_log_that_is_not_read_stops_nothing(parrot_path):
    """Lines are dropped, counted, and the count is told once somebody reads."""
    process = subprocess.Popen([PROGRAM, "serve", str(parrot_path), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "no_proxy": "*"})
    port = int(process.stdout.readline().rstrip().rsplit(":", 1)[1])

    def ask(count):
        for _ in range(count // 100):
            with socket.create_connection(("127.0.0.1", port), 20) as connection:
                request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
                connection.sendall((request + b"\r\n") * 99 + request + b"Connection: close\r\n\r\n")
                assert read_all(connection).count(b"HTTP/1.1 200 OK") == 100

    begin = time.monotonic()
    ask(6000)  # some 100 bytes each: more than a pipe and the writer's memory hold
    assert time.monotonic() - begin < 20 * SLOWNESS
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr))
    reader.start()
    end = time.monotonic() + 10
    while not any("dropped" in line for line in lines) and time.monotonic() < end:
        time.sleep(0.05)
    ask(100)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10 * SLOWNESS) == 0
    reader.join()
    dropped = sum(int(line.split()[1]) for line in lines if "were dropped" in line)
    assert dropped > 0 and dropped + sum("GET /health 200" in line for line in lines) == 6100


def test_sigterm_with_a_log_that_is_not_read(parrot_path):
    process = subprocess.Popen([PROGRAM, "serve", str(parrot_path), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "no_proxy": "*"})
    port = int(process.stdout.readline().rstrip().rsplit(":", 1)[1])
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
            connection.sendall((request + b"\r\n") * 99 + request + b"Connection: close\r\n\r\n")
            read_all(connection)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10 * SLOWNESS) == 0
    process.stdout.close()
    process.stderr.close()
