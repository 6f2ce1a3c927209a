"""docs/clients.md: the lines for libraries."""
import pathlib

import pytest
from clients_page import LIBRARIES, run_lines


@pytest.mark.parametrize("client", LIBRARIES)
def test_lines(server, client):
    assert run_lines(client, server.url, pathlib.Path(__file__).parent / "js").strip()
