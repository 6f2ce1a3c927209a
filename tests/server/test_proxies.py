"""Behind real proxies, with the configurations of docs/serving.md: nginx before one server, HAProxy before two."""
import json
import re
import shutil
import socket
import subprocess
import threading
import time

import httpx
import pytest

from server_process import ROOT, SLOWNESS, read_all

NGINX, HAPROXY = (shutil.which(name, path="/usr/sbin:/usr/bin:/sbin") for name in ("nginx", "haproxy"))
ASK = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20, "temperature": 0}


def documented(language):
    """The configuration in docs/serving.md."""
    return re.search(rf"```{language}\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.S)[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    def __init__(self, command, port):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert self.process.poll() is None and time.monotonic() < end, self.process.stderr.read()
            time.sleep(0.02)
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def stop(self):
        self.http.close()
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def nginx(folder):
    proxies = []

    def start(servers):
        """servers: text with %d where the port stands."""
        place, port = folder / f"nginx-{len(proxies)}", free_port()
        place.mkdir()
        temporary = "".join(f"{kind}_temp_path {place}/{kind};" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (place / "nginx.conf").write_text(
            f"worker_processes 1; daemon off; pid {place}/pid; error_log {place}/error.log;"
            f"events {{ worker_connections 64; }} http {{ access_log off; {temporary} {servers % port} }}")
        proxies.append(Proxy([NGINX, "-p", str(place), "-e", str(place / "error.log"), "-c", str(place / "nginx.conf")],
                             port))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.stop()


def events_with_times(http, path, body, headers=None):
    """Arrivals: for each read, seconds since the request and events in it."""
    begin, reads = time.monotonic(), []
    with http.stream("POST", path, json=body, headers=headers) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            reads.append((time.monotonic() - begin, piece.count(b"data: ")))
    return reads


def check_page_and_stream(proxy, host, path=""):
    origin = {"Origin": f"https://{host}", "Host": host, "Sec-Fetch-Site": "same-origin"}
    page = proxy.http.get(path + "/", headers={"Host": host})
    assert page.status_code == 200 and "<html" in page.text
    answer = proxy.http.post(path + "/v1/chat/completions", json=ASK, headers=origin)
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"]
    reads = events_with_times(proxy.http, path + "/v1/chat/completions", {**ASK, "max_tokens": 100, "ignore_eos": True, "stream": True},
                              origin)
    events = sum(count for _, count in reads)
    # Event by event, as they are made, instead of in lumps of 4 KiB, which are a dozen of them; and none is held back.
    assert events > 20 and len(reads) > events / 6, (events, len(reads))
    gaps = sorted(b[0] - a[0] for a, b in zip(reads, reads[1:]))
    assert gaps[len(gaps) * 9 // 10] < 0.05 * SLOWNESS, gaps[-5:]


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_nginx_with_its_own_defaults(nginx, small):
    """HTTP/1.0 to the server, Host rewritten, buffering on: nothing but proxy_pass."""
    proxy = nginx(f"server {{ listen 127.0.0.1:%d; location / {{ proxy_pass {small.url}; }} }}")
    check_page_and_stream(proxy, "chat.example.org")


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_nginx_as_documented(nginx, start, small):
    import os

    server = start(os.environ["SMOLLM_TEST_MODEL"], "-c", "2048", "--allow-host", "chat.example.org")
    config = documented("nginx").replace("http://127.0.0.1:8080", server.url).replace("listen 443 ssl", "listen 127.0.0.1:%d")
    config = re.sub(r" *ssl_certificate.*\n", "", config)
    proxy = nginx(config)
    check_page_and_stream(proxy, "chat.example.org")
    answer = proxy.http.get("/health", headers={"Host": "chat.example.org"})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    server.log_line(answer.headers["x-request-id"])  # it is written after the answer
    server.stop()


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_nginx_below_a_path(nginx, small):
    proxy = nginx(f"server {{ listen 127.0.0.1:%d; location /llm/ {{ proxy_pass {small.url}/; }} }}")
    check_page_and_stream(proxy, "chat.example.org", "/llm")


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_a_client_that_leaves_nginx_frees_its_place(nginx, endless):
    proxy = nginx(f"server {{ listen 127.0.0.1:%d; location / {{ proxy_pass {endless.url}; }} }}")
    for stream in (True, False):
        body = json.dumps({**ASK, "max_tokens": 50000, "ignore_eos": True, "stream": stream}).encode()
        with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            endless.wait_busy()
        endless.wait_idle()


@pytest.fixture
def haproxy(folder, start, endless_path):
    """HAProxy before two servers; the proxy and the two."""
    servers = [start(endless_path, "-c", "4096", "-np", "30", "--temp", "0", "--drain-timeout", "100") for _ in range(2)]
    port = free_port()
    config = documented("haproxy").replace(":8000", f"127.0.0.1:{port}")
    for number, server in zip((8081, 8082), servers):
        config = config.replace(f"127.0.0.1:{number}", f"127.0.0.1:{server.port}")
    path = folder / "haproxy.cfg"
    path.write_text(config)
    proxy = Proxy([HAPROXY, "-db", "-f", str(path)], port)
    yield proxy, servers
    proxy.stop()
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")
def test_draining_a_replica_under_50_streams(haproxy):
    """None is cut while the drain time lasts, whoever comes meanwhile is served by the other, and the replica ends by
    itself after its last stream."""
    proxy, (going, staying) = haproxy
    assert all(server.log_line(r"GET /health 200") for server in (going, staying))  # by HTTP/1.0 without Host
    body = json.dumps({**ASK, "max_tokens": 600, "ignore_eos": True, "stream": True}).encode()
    request = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    answers = [b""] * 50

    def stream(number):
        with socket.create_connection(("127.0.0.1", proxy.port), 60 * SLOWNESS) as connection:
            connection.sendall(request)
            answers[number] = read_all(connection)

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    going.wait_busy(20)
    going.http.close()
    going.process.terminate()
    for _ in range(20):  # new ones, while the replica drains and before HAProxy has noticed
        answer = proxy.http.post("/v1/chat/completions", json={**ASK, "max_tokens": 2})
        assert answer.status_code == 200, answer.text
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    cut = [answer[-200:] for answer in answers if b"data: [DONE]" not in answer]
    assert cut == [] and all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert going.process.wait(10 * SLOWNESS) == 0
    assert len(re.findall("finish=length", going.log())) >= 20


@pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")
def test_haproxy_hands_on_events(haproxy, small):
    proxy, _ = haproxy
    answer = proxy.http.post("/v1/chat/completions", json={**ASK, "stream": True})
    assert answer.status_code == 200 and answer.text.rstrip().endswith("data: [DONE]")
    assert proxy.http.get("/", headers={"Host": "localhost"}).status_code == 200


def test_a_stream_that_waits_gets_no_200_when_it_is_cut(folder, start):
    """Streams get their heads with their first event: what still waits when the drain time is over gets 503."""
    from parrot_model import make_parrot

    path = folder / "mumbling.gguf"  # its answers are short enough never to wait for their reader
    make_parrot(path, ["<think>", "no", "</think>", "a"], loop=3, context=65536)
    server = start(path, "-c", "60000", "-np", "1", "--drain-timeout", "1")
    body = json.dumps({**ASK, "max_tokens": 50000, "ignore_eos": True, "stream": True}).encode()
    request = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    connections = [server.connect() for _ in range(3)]
    answers = [b""] * 3

    def stream(number):
        connections[number].sendall(request)
        answers[number] = read_all(connections[number])

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(3)]
    for number, thread in enumerate(threads):
        thread.start()
        server.wait_busy()
        time.sleep(0.05)
    server.http.close()
    server.process.terminate()
    for thread in threads:
        thread.join()
    assert server.process.wait(10) == 0
    assert answers[0].startswith(b"HTTP/1.1 200") and b"shutting_down" in answers[0]
    for waiting in answers[1:]:
        assert waiting.startswith(b"HTTP/1.1 503") and b"shutting_down" in waiting and b"data:" not in waiting
