#!/usr/bin/env python3
"""Real clients against `smollm serve` with the small model: their packages are heavy, so that this is no part of
`make test`. The last line is "N passed, N failed".

usage: run.py [PART OF A TEST'S NAME]        (make test-clients)

Python packages are installed into .venv-clients, JavaScript ones below tests/clients/js.
"""
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE, VENV = ROOT / "tests" / "clients", ROOT / ".venv-clients"
sys.path.insert(0, str(ROOT / "tests" / "server"))


def run(*command, **options):
    return subprocess.run([str(c) for c in command], **{"cwd": HERE, "check": True, **options})


def install():
    wanted, stamp = (HERE / "requirements.txt").read_text(), VENV / "requirements.installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        run(sys.executable, "-m", "venv", VENV)
        run(VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements.txt")
        stamp.write_text(wanted)
    run("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=HERE / "js")


def python_clients(environment, chosen):
    report = ROOT / "build" / "clients.xml"
    run(VENV / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *sorted(HERE.glob("client_*.py")),
        *(["-k", chosen] if chosen else []), env=environment, check=False)
    suite = xml.parse(report).getroot()[0]
    bad = int(suite.get("failures")) + int(suite.get("errors"))
    return int(suite.get("tests")) - bad - int(suite.get("skipped")), bad


def javascript_clients(environment):
    command = [VENV / "bin" / "python", HERE / "with_server.py", "node", "--test", *sorted((HERE / "js").glob("*.mjs"))]
    output = run(*command, cwd=HERE / "js", env=environment, check=False, capture_output=True, text=True).stdout
    print(output, flush=True)
    counts = {word: sum(map(int, re.findall(rf"^(?:#|ℹ) {word} (\d+)", output, re.M))) for word in ("pass", "fail")}
    return counts["pass"], max(counts["fail"], int(counts["pass"] == 0))


def main():
    install()
    model = run(ROOT / "scripts" / "fetch-model.sh", cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    # Everything is on loopback; what libraries report about themselves is not sent.
    environment = {**os.environ, "SMOLLM_TEST_MODEL": model, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "DO_NOT_TRACK": "1",
                   "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_OFFLINE": "1"}
    chosen = sys.argv[1] if len(sys.argv) > 1 else None
    passed, failed = python_clients(environment, chosen)
    if not chosen:
        more, bad = javascript_clients(environment)
        passed, failed = passed + more, failed + bad
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
