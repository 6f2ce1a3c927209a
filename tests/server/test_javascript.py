"""The JavaScript packages of OpenAI, Anthropic and Ollama: the tests are js/*.test.mjs. Each counts as one here."""
import os
import re
import subprocess

import pytest

from server_process import ROOT, SLOWNESS

FOLDER = ROOT / "tests" / "server" / "js"
TESTS = [(file.name, name) for file in sorted(FOLDER.glob("*.test.mjs")) for name in re.findall(r'^test\("(.+?)"', file.read_text(), re.M)]


@pytest.fixture(scope="module")
def packages():
    stamp = FOLDER / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--silent", "--no-progress"], cwd=FOLDER, check=True)


@pytest.fixture(scope="module")
def outcomes(packages, parrot, endless, small):
    """What Node's test runner says of a file: runs it once."""
    known = {}
    environment = {**os.environ, "PARROT": parrot.url, "ENDLESS": endless.url, "SMALL": small.url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    def run(file):
        if file not in known:
            known[file] = subprocess.run(["node", "--test", "--test-reporter=tap", file], cwd=FOLDER, env=environment, text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * SLOWNESS).stdout
        return known[file]

    return run


@pytest.mark.parametrize("file, name", TESTS)
def test_package(outcomes, file, name):
    output = outcomes(file)
    assert re.search(rf"^ *ok \d+ - {re.escape(name)}$", output, re.M), output
