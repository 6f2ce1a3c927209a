"""Three servers behind the routers that people use: eight users with three turns each find nearly as much of their prompts cached as at
one server, and a stream whose server dies goes on through the router."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import httpx
import pytest

from server_process import ROOT, Server

SYSTEM = "You are a helpful assistant of the city library. Answer briefly and politely, and name a book where it fits. " * 6
TOPICS = ["whales", "volcanoes", "trains", "bread", "poetry", "chess", "gardens", "the moon"]


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Replica(Server):
    def __init__(self, folder):
        self.events, self.replay = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
        super().__init__(folder, os.environ["SMOLLM_TEST_MODEL"], "-c", "4096", "-np", "4", "--metrics", "--temp", "0", "--alias", "small",
                         "--kv-events", self.events, "--kv-events-replay", self.replay)


@pytest.fixture
def replicas(tmp_path):
    servers = [Replica(tmp_path) for _ in range(3)]
    yield servers
    for server in servers:
        if server.process.poll() is None:
            server.stop()


def haproxy(replicas, port, folder):
    """The second configuration of docs/serving.md."""
    config = re.findall(r"```haproxy\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.S)
    whole, backend = config[0], config[1]
    whole = whole[:whole.index("\nbackend smollm")] + "\n" + backend
    whole = whole.replace(":8000", f"127.0.0.1:{port}")
    for number, server in zip((8081, 8082, 8083), replicas):
        whole = whole.replace(f"127.0.0.1:{number}", f"127.0.0.1:{server.port}")
    path = folder / "haproxy.cfg"
    path.write_text(whole)
    return ["/usr/sbin/haproxy", "-db", "-f", str(path)]


def vllm_router(policy):
    def command(replicas, port, folder):
        events = []
        for server in replicas if policy == "kv_aware" else []:
            events += ["--kv-event-source", f"{server.url}={server.events}", "--kv-event-replay-source", f"{server.url}={server.replay}",
                       "--kv-event-block-size", "32", "--kv-event-model", "small"]
        return [os.path.join(os.path.dirname(sys.executable), "vllm-router"), "--worker-urls", *[server.url for server in replicas],
                "--policy", policy, "--port", str(port), "--prometheus-port", str(free_port()), *events]

    return command


def sglang_router(replicas, port, folder):
    return [sys.executable, "-m", "sglang_router.launch_router", "--worker-urls", *[server.url for server in replicas], "--policy", "cache_aware",
            "--port", str(port), "--prometheus-port", str(free_port())]


class Router:
    def __init__(self, make, replicas, folder):
        port = free_port()
        self.url, self.log = f"http://127.0.0.1:{port}", folder / "router.log"
        self.process = subprocess.Popen(make(replicas, port, folder), stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while True:
            try:
                if httpx.get(self.url + "/health", trust_env=False, timeout=1).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)
        time.sleep(2)  # its own checks of the servers

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def cached_share(url):
    """Of eight users, who take turns. (Under load routers weigh what is cached against how busy a server is.)"""
    http = httpx.Client(base_url=url, timeout=120, trust_env=False)
    conversations = [[{"role": "system", "content": SYSTEM},
                      {"role": "user", "content": f"I am visitor {number}. Tell me about {topic}. " + f"I have read about {topic} before, and liked it. " * 10}]
                     for number, topic in enumerate(TOPICS)]
    prompt, cached = 0, 0
    for turn in range(3):
        for topic, messages in zip(TOPICS, conversations):
            answer = http.post("/v1/chat/completions", json={"model": "small", "messages": messages, "max_tokens": 24})
            assert answer.status_code == 200, answer.text
            usage = answer.json()["usage"]
            prompt, cached = prompt + usage["prompt_tokens"], cached + usage["prompt_tokens_details"]["cached_tokens"]
            messages += [{"role": "assistant", "content": answer.json()["choices"][0]["message"]["content"]},
                         {"role": "user", "content": f"Go on, please, with more about {topic} (part {turn})."}]
    return cached / prompt


@pytest.fixture(scope="module")
def share_of_one(tmp_path_factory):
    server = Replica(tmp_path_factory.mktemp("one"))
    share = cached_share(server.url)
    server.stop()
    return share


ROUTERS = {"haproxy": haproxy, "vllm-router": vllm_router("cache_aware"), "vllm-router-kv": vllm_router("kv_aware"), "sglang-router": sglang_router}


@pytest.mark.parametrize("name", ROUTERS)
def test_cached_share(name, replicas, share_of_one, tmp_path):
    router = Router(ROUTERS[name], replicas, tmp_path)
    share = cached_share(router.url)
    router.stop()
    print(f"{name}: {share:.3f}, one server: {share_of_one:.3f}")
    assert share >= 0.9 * share_of_one


@pytest.mark.parametrize("name", [name for name in ROUTERS if name != "sglang-router"])  # it drops fields that it does not know
def test_a_stream_goes_on_when_its_server_dies(name, replicas, tmp_path):
    router = Router(ROUTERS[name], replicas, tmp_path)
    body = {"model": "small", "messages": [{"role": "user", "content": "Tell me about the sea."}], "max_tokens": 120, "stream": True,
            "temperature": 0.8, "seed": 3, "continuous_usage_stats": True}

    def read(url, stop_after, **more):
        """Text and tokens, up to the end or so many chunks."""
        text, tokens, chunks, done = "", 0, 0, False
        with httpx.stream("POST", url + "/v1/chat/completions", json={**body, **more}, trust_env=False, timeout=120) as answer:
            assert answer.status_code == 200, answer.read()
            try:
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        chunk = json.loads(line[6:])
                        text += chunk["choices"][0]["delta"].get("content") or ""
                        tokens, chunks = chunk["usage"]["completion_tokens"], chunks + 1
                        done = done or chunk["choices"][0]["finish_reason"] is not None
                        if chunks == stop_after:
                            going, = [server for server in replicas if any(slot["is_processing"] for slot in server.slots())]
                            going.process.send_signal(signal.SIGKILL)
            except httpx.TransportError:
                pass
        return text, tokens, done

    begun, tokens, done = read(router.url, 30)
    assert not done and 20 < tokens < 120
    time.sleep(2.5)  # until the router has noticed
    end = time.monotonic() + 60
    while True:
        try:
            rest, _, done = read(router.url, 0, continue_from=tokens)
            break
        except AssertionError:  # a router that still counts on the dead server
            assert time.monotonic() < end
            time.sleep(1)
    alive = next(server for server in replicas if server.process.poll() is None)
    whole, _, _ = read(alive.url, 0)
    router.stop()
    assert done and begun + rest == whole
