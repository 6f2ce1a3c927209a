"""The lines of docs/clients.md, each client's with the address of a running server. Tests run them as they stand there."""
import os
import re
import subprocess
import sys

from server_process import ROOT, SLOWNESS

PAGE = (ROOT / "docs" / "clients.md").read_text()
# By heading, as far as the colon: language and lines.
LINES = {title: (language, text) for title, language, text in re.findall(r"^### ([^:\n]+).*\n\n```(\w+)\n((?:.*\n)*?)```$", PAGE, re.M)}
PACKAGES = [title for title in LINES if PAGE.index(f"### {title}") < PAGE.index("## Libraries")]
AGENTS = [title for title in LINES if PAGE.index(f"### {title}") > PAGE.index("## Coding agents")]
LIBRARIES = [title for title in LINES if title not in PACKAGES + AGENTS]


def lines_of(client, url):
    _, text = LINES[client]
    assert text.count("\n") <= 4 and "http://127.0.0.1:8080" in text
    return text.replace("http://127.0.0.1:8080", url)


def run_lines(client, url, javascript):
    """What Python or Node print, with the packages of this Python or of that folder."""
    python, node = [sys.executable, "-c"], ["node", "--input-type=module", "-e"]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run([*(python if LINES[client][0] == "python" else node), lines_of(client, url)], cwd=javascript, env=environment,
                          text=True, capture_output=True, timeout=60 * SLOWNESS)
    assert done.returncode == 0, done.stderr
    return done.stdout
