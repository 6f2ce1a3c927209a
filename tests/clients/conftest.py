"""One server with the real small model for all clients."""
import os
import pathlib
import sys

import pytest

for folder in ("server", "models"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder))
from server_process import Server  # noqa: E402


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("clients"), os.environ["SMOLLM_TEST_MODEL"], "-c", "8192", "-np", "2", "--alias", "small", "--temp", "0.3",
                    "--seed", "1")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def url(server):
    return server.url + "/v1"


@pytest.fixture(scope="session")
def says(tmp_path_factory):
    """Starts servers whose model says these pieces, whatever it is asked; their addresses."""
    from parrot_model import make_parrot

    servers = {}

    def start(*pieces):
        if pieces not in servers:
            folder = tmp_path_factory.mktemp("says")
            make_parrot(folder / "parrot.gguf", list(pieces), context=16384)
            servers[pieces] = Server(folder, folder / "parrot.gguf", "--temp", "0", "--alias", "small")
        return servers[pieces].url + "/v1"

    yield start
    for server in servers.values():
        server.stop()
