"""Servers for the tests, and models that answer what a test needs."""
import os
import sys

import pytest

from server_process import ROOT, Server

sys.path.insert(0, str(ROOT / "tests" / "models"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def start(folder):
    """Starts servers; all are stopped at the end."""
    servers = []

    def start_server(model, *arguments):
        servers.append(Server(folder, model, *arguments))
        return servers[-1]

    yield start_server
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="session")
def parrot_path(folder):
    """Thinks, says something, calls a tool twice."""
    from parrot_model import make_parrot

    path = folder / "parrot.gguf"
    make_parrot(path, ["<think>", "Let me", " see.", "</think>", "Gr", b"\xc3", b"\xbc\xc3", b"\x9fe ", "\U0001f99c",
                       "!", "<tool_call>", '\n{"name": "get_weather", "arguments": ', '{"city": "Paris",', ' "days": 3}',
                       "}\n", "</tool_call>"])
    return path


@pytest.fixture(scope="session")
def endless_path(folder):
    """Says the same words for ever."""
    from parrot_model import make_parrot

    path = folder / "endless.gguf"
    make_parrot(path, ["<think>", "no", "</think>", "word one, ", "word two, ", "word " + "three " * 4000], loop=3,
                context=65536, name="endless")
    return path


@pytest.fixture(scope="session")
def parrot(start, parrot_path):
    return start(parrot_path, "--alias", "parrot-1", "--metrics", "--temp", "0", "-np", "4")


@pytest.fixture(scope="session")
def endless(start, endless_path):
    return start(endless_path, "-c", "60000", "-np", "2", "--timeout", "2", "--temp", "0")


@pytest.fixture(scope="session")
def small(start):
    """The real small model."""
    path = os.environ.get("SMOLLM_TEST_MODEL")
    if not path:
        pytest.skip("SMOLLM_TEST_MODEL names no model")
    return start(path, "-c", "2048", "-np", "4", "--alias", "small", "--metrics")
