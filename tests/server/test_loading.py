"""While the model is loaded: the server answers at once that it does, and supervisors can tell it from a hang."""
import os
import re
import socket
import subprocess
import threading
import time

import httpx
import pytest

from server_process import PROGRAM, SLOWNESS


@pytest.fixture(scope="session")
def large_path(folder):
    """Takes a second or more to load with one thread."""
    from make_model import make_model

    path = folder / "large.gguf"
    make_model(path, type="F16", hidden=2048, ffn=8192, layers=12 if SLOWNESS == 1 else 3, heads=16, kv_heads=4, holes=True)
    return path


class Loading:
    """A server whose model is still being loaded; its port is known in advance."""

    def __init__(self, folder, model, *arguments, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = open(folder / f"loading-{self.port}.log", "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", str(model), "--port", str(self.port), "-t", "1", "-c", "512", *arguments],
            stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), **environment})
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False)

    def get(self, path):
        """As soon as the port is open."""
        end = time.monotonic() + 5 * SLOWNESS
        while True:
            try:
                return self.http.get(path)
            except httpx.ConnectError:
                assert time.monotonic() < end
                time.sleep(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(15)


def test_health_tells_how_much_is_loaded(folder, large_path):
    with Loading(folder, large_path) as server:
        begin, seen = time.monotonic(), []
        while (health := server.get("/health")).status_code == 503:
            body = health.json()
            assert body["status"] == "loading" and body["error"]["message"] == "Loading model"
            seen.append(body["progress"])
            assert time.monotonic() - begin < 60 * SLOWNESS
        assert health.json() == {"status": "ok"}
        assert len(seen) >= 2 and seen == sorted(seen) and 0 <= seen[0] < seen[-1] <= 1, seen
        assert server.process.stdout.readline().endswith(f" at http://127.0.0.1:{server.port}\n")


def test_everything_else_is_told_too(folder, large_path):
    with Loading(folder, large_path) as server:
        assert server.get("/").status_code == 200  # the page shows it
        for method, path, body in (("GET", "/v1/models", None), ("GET", "/props", None), ("GET", "/slots", None),
                                   ("GET", "/v1/stream?conv_id=x", None),
                                   ("POST", "/v1/chat/completions", {"messages": []}), ("POST", "/tokenize", {})):
            answer = server.http.request(method, path, json=body)
            if server.http.get("/health").status_code == 200:
                pytest.skip("the model was loaded before all was asked")
            assert answer.status_code == 503, (path, answer.text)
            error = answer.json()["error"]
            assert error["code"] == "loading" and re.search(r"being loaded \(\d+ %\)", error["message"])


def test_a_signal_ends_loading(folder, large_path):
    with Loading(folder, large_path) as server:
        assert server.get("/health").status_code == 503
        begin = time.monotonic()
        server.process.terminate()
        assert server.process.wait(10) == 0 and time.monotonic() - begin < 1.5 * SLOWNESS


def test_a_model_that_cannot_be_loaded_ends_the_server(folder):
    (folder / "broken.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    with Loading(folder, folder / "broken.gguf") as server:
        assert server.process.wait(10) == 1
        server.log.seek(0)
        assert "broken.gguf" in server.log.read() and server.process.stdout.read() == ""


@pytest.mark.parametrize("abstract", [False, True])
def test_a_supervisor_is_told(folder, large_path, abstract):
    """sd_notify(3): loading with more time, ready, stopping."""
    name = f"\0smollm-test-{os.getpid()}" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(name)
        notify.settimeout(60 * SLOWNESS)
        told = []

        def listen():
            while not told or "STOPPING" not in told[-1]:
                told.append(notify.recv(4096).decode())

        listener = threading.Thread(target=listen)
        listener.start()
        with Loading(folder, large_path, NOTIFY_SOCKET=name.replace("\0", "@")) as server:
            server.process.stdout.readline()
        listener.join(10)
    assert any("EXTEND_TIMEOUT_USEC=" in text and "Loading the model" in text for text in told[:-2])
    assert told[-2].startswith("READY=1\n") and f"127.0.0.1:{server.port}" in told[-2]
    assert told[-1].startswith("STOPPING=1\n")
    assert len(told) < 100  # once a second
