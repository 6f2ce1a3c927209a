"""docs/clients.md: the lines for packages that are installed here."""
import pytest

from clients_page import LINES, PACKAGES, lines_of, run_lines
from test_javascript import FOLDER, packages  # noqa: F401


def test_every_heading_has_lines():
    assert len(PACKAGES) == 6 and len(LINES) == 20, list(LINES)
    for client in LINES:
        assert lines_of(client, "http://[::1]:1")


@pytest.mark.parametrize("client", PACKAGES)
def test_lines(parrot, packages, client):  # noqa: F811
    assert "Grüße" in run_lines(client, parrot.url, FOLDER)
