"""A running `smollm serve`, and bytes to and from it. SMOLLM names another program than build/smollm."""
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import threading
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("SMOLLM", str(ROOT / "build" / "smollm"))


# Sanitizers make the model slow: what takes one pass of it may then take longer.
SLOWNESS = 10 if re.search(b"__[at]san_init", pathlib.Path(PROGRAM).read_bytes()) else 1


class Server:
    """A running `smollm serve` on a free port; stop() checks that it ended as it should."""

    def __init__(self, folder, model, *arguments, program=PROGRAM, environment=None):
        self.log_path = folder / f"server-{time.monotonic_ns()}.log"
        environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), "no_proxy": "*", **(environment or {})}
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([program, "serve", str(model), "--port", "0", *map(str, arguments)],
                                            stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        self.line = self.process.stdout.readline() if ready else ""
        match = re.fullmatch(r"smollm: (.+) at http://(\S+):(\d+)(?: and \S+)*\n", self.line)
        if not match:
            self.process.kill()
            raise AssertionError(f"no address line: {self.line!r} {self.log()}")
        self.name, self.host, self.port = match[1], match[2], int(match[3])
        self.url = f"http://{self.host}:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def log(self):
        return self.log_path.read_text()

    def log_line(self, pattern, seconds=10):
        """Waits for a line of the log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.log().splitlines():
                if re.search(pattern, line):
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no line with {pattern} in {self.log()}")

    def openai(self, **options):
        from openai import OpenAI

        return OpenAI(base_url=self.url + "/v1", max_retries=0, timeout=60,
                      http_client=httpx.Client(trust_env=False), **{"api_key": "none", **options})

    def connect(self, receive_buffer=None):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(20)
        connection.connect((self.host, self.port))
        return connection

    def raw(self, data):
        """Sends bytes, returns all that comes until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)

    def slots(self):
        return self.http.get("/slots").json()

    def wait_idle(self, seconds=5):
        """Seconds until no slot works."""
        begin = time.monotonic()
        while any(slot["is_processing"] for slot in self.slots()):
            assert time.monotonic() - begin < seconds * SLOWNESS, self.slots()
            time.sleep(0.005)
        return time.monotonic() - begin

    def wait_busy(self, count=1, seconds=5):
        begin = time.monotonic()
        while sum(slot["is_processing"] for slot in self.slots()) < count:
            assert time.monotonic() - begin < seconds * SLOWNESS, self.slots()
            time.sleep(0.005)

    def wait_waiting(self, count=1, seconds=5):
        """Until count requests are in the queue, which the metrics show."""
        begin = time.monotonic()
        while f"\nsmollm_requests_waiting {count}\n" not in self.http.get("/metrics").text:
            assert time.monotonic() - begin < seconds * SLOWNESS, self.http.get("/metrics").text
            time.sleep(0.005)

    def stop(self, signal_number=signal.SIGTERM, seconds=12):
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the server did not end: " + self.log())
        log = self.log()
        assert "Sanitizer" not in log and "runtime error" not in log, log
        assert code == 0, (code, log)


def read_all(connection):
    data = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def keep_reading(connection):
    """Reads on in a thread until the connection closes: streams that nobody reads give way to others."""
    def read():
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass
    threading.Thread(target=read, daemon=True).start()


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def post(path, body, *fields, host="localhost"):
    """The bytes of a request."""
    data = body if isinstance(body, bytes) else body.encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(data)}",
             *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data
