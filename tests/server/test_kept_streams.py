"""Streams with X-Conversation-Id outlive their connection and are read again with GET /v1/stream, in every protocol."""
import json
import random
import signal
import socket
import threading
import time

import httpx
import pytest

from server_process import SLOWNESS, post, read_all, status_of
from test_dialects import DIALECTS, each, events

WINDOW = 4 << 20  # bytes of one stream


def limited(body, tokens):
    """The body with another limit in place of 5000."""
    return json.loads(json.dumps({**body, "stream": True}).replace("5000", str(tokens)))


@pytest.fixture(scope="module")
def steady_path(folder):
    """Says short words, and ends only at its limit."""
    from parrot_model import make_parrot

    path = folder / "steady.gguf"
    make_parrot(path, ["a ", "b "], loop=0, context=65536, name="steady")
    return path


@pytest.fixture(scope="module")
def kept(start, endless_path):
    return start(endless_path, "-c", "60000", "-np", "3", "--temp", "0")


@pytest.fixture(scope="module")
def shared(start, steady_path, folder):
    keys = folder / "keys"
    keys.write_text("ann:secret\nbob:other\n")
    return start(steady_path, "-c", "60000", "-np", "2", "--temp", "0", "--api-key-file", keys)


ANN, BOB = {"Authorization": "Bearer secret"}, {"Authorization": "Bearer other"}


def leave_after(server, path, body, name, size, **headers):
    """Reads at least `size` bytes of a stream and disconnects; returns what was read."""
    read = b""
    with server.http.stream("POST", path, json=body, headers={**headers, "X-Conversation-Id": name}) as answer:
        assert answer.status_code == 200, answer.read()
        for piece in answer.iter_raw():
            read += piece
            if len(read) >= size:
                break
    return read


def get(server, name, start=0, **options):
    return server.http.get("/v1/stream", params={"conv_id": name, "from": start}, **options)


def delete(server, name, **options):
    return server.http.delete("/v1/stream", params={"conv_id": name}, **options)


def lookup(server, *names, **options):
    answer = server.http.post("/v1/streams/lookup", json={"conversation_ids": names}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_complete(text):
    """The last event is that of an answer whose limit was reached, in whichever protocol."""
    last = text.rstrip().splitlines()[-1]
    return last == "data: [DONE]" or any(sign in last for sign in ('"stop":true', '"done":true', "message_stop", "response.completed",
                                                                   "response.incomplete"))


@each
def test_resumes(kept, name):
    """A client leaves in the middle; what it read and what is read later are together the stream, byte for byte."""
    path, body, _, _ = DIALECTS[name]
    first = leave_after(kept, path, limited(body, 60), name, 1000)
    rest = get(kept, name, len(first))
    whole = get(kept, name)
    assert rest.status_code == whole.status_code == 200
    assert whole.headers["content-type"] == ("application/x-ndjson" if name.startswith("ollama") else "text/event-stream")
    assert first + rest.content == whole.content
    assert is_complete(whole.text) and len(events(whole.text)) > 2, whole.text[-500:]
    for start in (1, 777, len(whole.content) - 1, len(whole.content), len(whole.content) + 1000):
        assert get(kept, name, start).content == whole.content[start:]
    kept.wait_idle()


def test_first_client_reads_the_same(kept):
    """A client that stays gets the same bytes as one that reads the stream later, and its answer is an ordinary one."""
    path, body, _, _ = DIALECTS["chat"]
    answer = kept.http.post(path, json=limited(body, 30), headers={"X-Conversation-Id": "stays"})
    assert answer.content == get(kept, "stays").content
    plain = events(kept.http.post(path, json=limited(body, 30)).text)

    def told(chunks):
        return [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]

    assert told(events(answer.text)) == told(plain)
    kept.log_line(r"POST /v1/chat/completions 200 .*done.*length")


def test_two_readers_at_once(kept):
    path, body, _, _ = DIALECTS["chat"]
    first = leave_after(kept, path, limited(body, 400), "two", 100)
    results = {}

    def read(start):
        with httpx.Client(base_url=kept.url, timeout=60, trust_env=False) as client:
            results[start] = client.get("/v1/stream", params={"conv_id": "two", "from": start}).content

    readers = [threading.Thread(target=read, args=(start,)) for start in (0, len(first))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert results[0] == first + results[len(first)] == get(kept, "two").content


def test_goes_on_alone(kept):
    """With nobody to read it, a stream is generated to its end, and the log says that it was kept."""
    path, body, _, _ = DIALECTS["chat"]
    leave_after(kept, path, limited(body, 200), "alone", 10)
    kept.wait_idle(20)
    info = lookup(kept, "alone")[0]
    assert info["is_done"] and info["total_bytes"] == len(get(kept, "alone").content)
    assert 0 < info["started_at"] <= info["completed_at"]
    kept.log_line("client left.*kept")


def test_waits_for_bytes_to_come(kept):
    """`from` beyond what there is waits until there is more."""
    path, body, _, _ = DIALECTS["chat"]
    leave_after(kept, path, limited(body, 3000), "early", 10)
    with kept.http.stream("GET", "/v1/stream", params={"conv_id": "early", "from": 100000}) as answer:
        assert answer.status_code == 200
        piece = next(answer.iter_raw())
    assert piece == get(kept, "early", 100000).content[:len(piece)]
    delete(kept, "early")


def test_delete_stops(kept):
    path, body, _, _ = DIALECTS["chat"]
    leave_after(kept, path, limited(body, 50000), "stopped", 10)
    with kept.http.stream("GET", "/v1/stream", params={"conv_id": "stopped"}) as reader:
        pieces = reader.iter_text()
        text = next(pieces)
        kept.wait_busy()
        answer = delete(kept, "stopped")
        assert answer.status_code == 204 and answer.content == b"" and "content-type" not in answer.headers
        text += "".join(pieces)
    assert events(text)[-1]["error"]["code"] == "deleted"
    kept.wait_idle()
    assert get(kept, "stopped").status_code == 404 and lookup(kept, "stopped") == []
    assert delete(kept, "stopped").status_code == 204  # as often as a client likes


def test_new_request_replaces(kept):
    path, body, _, _ = DIALECTS["chat"]
    leave_after(kept, path, limited(body, 50000), "again", 10)
    with kept.http.stream("GET", "/v1/stream", params={"conv_id": "again"}) as reader:
        pieces = reader.iter_text()
        text = next(pieces)
        answer = kept.http.post(path, json=limited(body, 5), headers={"X-Conversation-Id": "again"})
        text += "".join(pieces)
    assert events(text)[-1]["error"]["code"] == "replaced"
    assert get(kept, "again").content == answer.content and len(lookup(kept, "again")) == 1
    kept.wait_idle()


def test_other_key(shared):
    """A key sees its own streams alone, and two keys may use the same id."""
    path, body, _, _ = DIALECTS["chat"]
    headers = {**ANN, "X-Conversation-Id": "mine"}
    answer = shared.http.post(path, json=limited(body, 5), headers=headers)
    assert get(shared, "mine", headers=BOB).status_code == 404
    assert get(shared, "mine").status_code == 401 and delete(shared, "mine").status_code == 401
    assert lookup(shared, "mine", headers=BOB) == []
    assert delete(shared, "mine", headers=BOB).status_code == 204
    assert answer.status_code == 200
    other = shared.http.post(path, json=limited(body, 7), headers={**BOB, "X-Conversation-Id": "mine"})
    assert get(shared, "mine", headers=ANN).content == answer.content
    assert get(shared, "mine", headers=BOB).content == other.content


def test_refusals(kept):
    path, body, _, _ = DIALECTS["chat"]
    for query, status, param in (("", 400, "conv_id"), ("?conv_id=", 400, "conv_id"), ("?conv_id=nothing", 404, None),
                                 ("?from=0", 400, "conv_id"), ("?conv_id=nothing&from=x", 400, "from"),
                                 ("?conv_id=nothing&from=-1", 400, "from"), ("?conv_id=nothing&from=1e3", 400, "from"),
                                 ("?conv_id=nothing&from=99999999999999999999", 400, "from")):
        answer = kept.http.get("/v1/stream" + query)
        assert answer.status_code == status and answer.json()["error"]["param"] == param, (query, answer.text)
    assert kept.http.delete("/v1/stream").status_code == 400
    assert kept.http.post("/v1/stream", json={}).headers["allow"] == "GET, HEAD, DELETE"
    for ids in (None, "x", [1], [""], ["x"] * 1025):
        assert kept.http.post("/v1/streams/lookup", json={"conversation_ids": ids}).json()["error"]["param"] == "conversation_ids"
    long = kept.http.post(path, json=limited(body, 5), headers={"X-Conversation-Id": "x" * 257})
    assert long.status_code == 400 and long.json()["error"]["param"] == "X-Conversation-Id"
    kept.wait_idle()


def test_what_is_not_kept(kept):
    """Whole answers and requests that were refused; they leave an older stream with the same id alone."""
    path, body, _, _ = DIALECTS["chat"]
    headers = {"X-Conversation-Id": "plain"}
    assert kept.http.post(path, json={**limited(body, 5), "stream": False}, headers=headers).status_code == 200
    assert kept.http.post(path, json={**limited(body, 5), "messages": []}, headers=headers).status_code == 400
    assert kept.http.post(path, json=limited(body, 5), headers={"X-Conversation-Id": ""}).status_code == 200
    assert get(kept, "plain").status_code == 404
    answer = kept.http.post(path, json=limited(body, 5), headers=headers)
    assert kept.http.post(path, json={**limited(body, 5), "stream": False}, headers=headers).status_code == 200
    assert kept.http.post(path, json={**limited(body, 5), "messages": []}, headers=headers).status_code == 400
    assert get(kept, "plain").content == answer.content


def test_error_before_the_first_byte(start, steady_path):
    """A stream that fails in the queue is an error for its client and for those who wait with it, and is not kept."""
    server = start(steady_path, "-c", "60000", "-np", "1", "--temp", "0", "--metrics")
    path, body, _, _ = DIALECTS["chat"]
    with server.connect() as busy:
        busy.sendall(post("/completion", json.dumps({"prompt": "hi", "n_predict": 59000})))
        server.wait_busy()
        waiting = server.connect()
        waiting.sendall(post(path, json.dumps({**limited(body, 5), "deadline_ms": 2500}), "X-Conversation-Id: late", "Connection: close"))
        server.wait_waiting()
        with server.connect() as second:
            second.sendall(b"GET /v1/stream?conv_id=late&from=50 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answers = [read_all(waiting), read_all(second)]
        for answer in answers:
            head, _, content = answer.partition(b"\r\n\r\n")
            assert status_of(head) == 503 and json.loads(content)["error"]["code"] == "deadline_exceeded", answer
        assert get(server, "late").status_code == 404
    server.wait_idle()
    server.stop()


def test_lookup_finds_variants(kept):
    path, body, _, _ = DIALECTS["chat"]
    names = ["chat 1/ü&+", "chat 1/ü&+::small", "chat 1/ü&+:x", "chat 1"]
    for name in names:
        answer = kept.http.post(path, json=limited(body, 2), headers={b"X-Conversation-Id": name.encode()})
        assert get(kept, name).content == answer.content
    found = lookup(kept, names[0], names[3], "none")
    assert sorted(info["conversation_id"] for info in found) == sorted([names[0], names[1], names[3]])
    assert set(found[0]) == {"conversation_id", "is_done", "first_byte", "total_bytes", "started_at", "completed_at"}
    plus = kept.http.get("/v1/stream?conv_id=chat+1")
    assert plus.status_code == 200


def test_head_request(kept):
    path, body, _, _ = DIALECTS["chat"]
    kept.http.post(path, json=limited(body, 5), headers={"X-Conversation-Id": "head"})
    answer = kept.raw(b"HEAD /v1/stream?conv_id=head HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 200 and answer.endswith(b"\r\n\r\n") and b"data:" not in answer
    old = kept.raw(b"GET /v1/stream?conv_id=head HTTP/1.0\r\n\r\n")
    assert old.partition(b"\r\n\r\n")[2] == get(kept, "head").content


def test_keep_alive_is_part_of_the_stream(shared):
    """What keeps a silent stream alive has positions like everything else. The stream is silent while another key has
    its slot; its client has sent its last byte, so that it is soon asked whether it still reads."""
    path, body, _, _ = DIALECTS["chat"]
    leave_after(shared, path, limited(body, 50000), "first", 10, **ANN)
    with shared.connect() as connection:
        connection.sendall(post(path, json.dumps(limited(body, 3000)), "X-Conversation-Id: half", "Connection: close",
                                "Authorization: Bearer secret"))
        connection.shutdown(socket.SHUT_WR)
        while sum(slot["is_processing"] for slot in shared.http.get("/slots", headers=ANN).json()) < 2:
            time.sleep(0.005)
        plain = {"prompt": "hi", "n_predict": 3000}
        other = threading.Thread(target=shared.http.post, args=("/completion",), kwargs={"json": plain, "headers": BOB})
        other.start()
        answer = read_all(connection)
        other.join()
    content, rest = b"", answer.partition(b"HTTP/1.1 200")[2].partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        content, rest = content + rest[:int(size, 16)], rest[int(size, 16) + 2:]
    assert b": keep-alive\n\n" in content and content == get(shared, "half", headers=ANN).content
    delete(shared, "first", headers=ANN)


def test_long_stream_loses_its_beginning(kept):
    """A stream longer than the window goes on; a reader who keeps up gets all of it, one who fell behind is cut off, and
    positions before the window are refused."""
    path, body, _, _ = DIALECTS["chat"]
    tokens = 900  # every third is 24 KB
    slow = kept.connect(receive_buffer=4096)
    answer = {}

    def read():
        with httpx.Client(base_url=kept.url, timeout=60, trust_env=False) as client:
            answer["content"] = client.post(path, json=limited(body, tokens), headers={"X-Conversation-Id": "long"}).content

    reader = threading.Thread(target=read)
    reader.start()
    end = time.monotonic() + 10 * SLOWNESS
    while not lookup(kept, "long"):
        assert time.monotonic() < end
    slow.sendall(b"GET /v1/stream?conv_id=long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    reader.join(60 * SLOWNESS)
    whole = answer["content"]
    assert len(whole) > 1.5 * WINDOW and whole.endswith(b"data: [DONE]\n\n")
    assert not read_all(slow).endswith(b"0\r\n\r\n")
    kept.log_line("fell behind")
    info = lookup(kept, "long")[0]
    assert info["total_bytes"] == len(whole) and WINDOW - (16 << 10) <= len(whole) - info["first_byte"] <= WINDOW
    assert get(kept, "long", info["first_byte"]).content == whole[info["first_byte"]:]
    lost = get(kept, "long", info["first_byte"] - 1)
    assert lost.status_code == 400 and lost.json()["error"]["param"] == "from" and str(info["first_byte"]) in lost.text


@each
def test_shutdown(start, steady_path, name):
    """Readers of a stream get its protocol's error event, in time; a stream that nobody reads delays nothing."""
    path, body, _, is_last = DIALECTS[name]
    server = start(steady_path, "-c", "60000", "-np", "2", "--temp", "0", "--drain-timeout", "0")
    leave_after(server, path, limited(body, 50000), "read", 10)
    leave_after(server, path, limited(body, 50000), "unread", 10)
    text, ready = [], threading.Event()

    def read():
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            with client.stream("GET", "/v1/stream", params={"conv_id": "read"}) as answer:
                for piece in answer.iter_text():
                    text.append(piece)
                    ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert ready.wait(30)
    server.stop()
    reader.join(30)
    got = events("".join(text))
    assert len(got) > 1 and is_last(got[-1]), got[-1]


def test_shutdown_with_nobody_there(start, steady_path):
    """Without connections the server ends at once, whatever is under way."""
    path, body, _, _ = DIALECTS["chat"]
    for number in (signal.SIGTERM, signal.SIGINT):
        server = start(steady_path, "-c", "60000", "-np", "2", "--temp", "0")
        leave_after(server, path, limited(body, 50000), "a", 10)
        leave_after(server, path, limited(body, 50000), "b", 10)
        begin = time.monotonic()
        server.stop(number)
        assert time.monotonic() - begin < 5 * SLOWNESS  # --drain-timeout would be 8


def test_figures_return_to_idle(start, endless_path):
    server = start(endless_path, "-c", "30000", "-np", "2", "--temp", "0", "--metrics")
    path, body, _, _ = DIALECTS["chat"]
    leave_after(server, path, limited(body, 50), "x", 10)
    leave_after(server, path, limited(body, 20000), "y", 10)
    delete(server, "y")
    server.wait_idle()
    metrics = server.http.get("/metrics").text
    for line in ("smollm_requests_waiting 0", "smollm_requests_running 0", "smollm_requests_finished_total 2"):
        assert f"\n{line}\n" in metrics, metrics
    server.stop()


def test_storm(kept):
    """Clients that come and go at any moment, some of which share an id: what is left can be read, and no slot is held."""
    path, body, _, _ = DIALECTS["chat"]

    def visit(number):
        draw = random.Random(number)
        name = f"storm {number % 7}"
        with httpx.Client(base_url=kept.url, timeout=60, trust_env=False) as client:
            for _ in range(4):
                action = draw.randrange(4)
                if action == 0:
                    client.delete("/v1/stream", params={"conv_id": name})
                elif action == 1:
                    read = client.get("/v1/stream", params={"conv_id": name, "from": draw.randrange(3000)})
                    assert read.status_code in (200, 404, 410), read.text
                else:
                    with client.stream("POST", path, json=limited(body, draw.choice([3, 30, 300])),
                                       headers={"X-Conversation-Id": name}) as answer:
                        assert answer.status_code in (200, 410), answer.read()
                        for _ in zip(range(draw.randrange(4)), answer.iter_raw()):
                            time.sleep(draw.random() * 0.02)

    failures = []

    def guarded(number):
        try:
            visit(number)
        except Exception as failure:  # a thread's own would be lost
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(28)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures, failures
    kept.wait_idle(30)
    end = time.monotonic() + 10 * SLOWNESS  # the thread that takes their bytes may be behind the engine
    while not all(info["is_done"] for info in lookup(kept, *(f"storm {i}" for i in range(7)))) and time.monotonic() < end:
        time.sleep(0.05)
    for info in lookup(kept, *(f"storm {i}" for i in range(7))):
        assert info["is_done"] and len(get(kept, info["conversation_id"]).content) == info["total_bytes"]


def test_pages_of_other_origins(start, endless_path):
    server = start(endless_path, "--allow-origin", "https://chat.example")
    preflight = server.raw(b"OPTIONS /v1/stream HTTP/1.1\r\nHost: localhost\r\nOrigin: https://chat.example\r\n"
                           b"Access-Control-Request-Method: DELETE\r\nConnection: close\r\n\r\n").decode()
    assert "X-Conversation-Id" in preflight and "DELETE" in preflight
    server.stop()
