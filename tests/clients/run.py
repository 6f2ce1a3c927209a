#!/usr/bin/env python3
"""Real clients against `smollm serve` with the small model: their packages are heavy, so that this is no part of
`make test`. The last line is "N passed, N failed".

usage: run.py [PART OF A TEST'S NAME]        (make test-clients)

Python packages are installed into .venv-clients, aider into .venv-aider, JavaScript ones below tests/clients/js and
tests/clients/agents.
"""
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE, VENV, AIDER = ROOT / "tests" / "clients", ROOT / ".venv-clients", ROOT / ".venv-aider"
sys.path.insert(0, str(ROOT / "tests" / "server"))


def run(*command, **options):
    return subprocess.run([str(c) for c in command], **{"cwd": HERE, "check": True, **options})


def install_python(folder, requirements):
    wanted, stamp = requirements.read_text(), folder / "requirements.installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements)
        stamp.write_text(wanted)


def install():
    install_python(VENV, HERE / "requirements.txt")
    if sys.version_info < (3, 13):  # aider refuses newer ones
        install_python(AIDER, HERE / "agents" / "requirements.txt")
    for folder in ("js", "agents"):
        if not same_packages(HERE / folder):
            # Not "npm ci": it insists on the programs of other platforms, which not every registry has.
            run("npm", "install", "--no-save", "--ignore-scripts", "--silent", "--no-audit", "--no-fund", cwd=HERE / folder)


def same_packages(folder):
    """npm writes down what it has installed; a newer lock file asks for something else."""
    installed = folder / "node_modules" / ".package-lock.json"
    return installed.exists() and installed.stat().st_mtime > (folder / "package-lock.json").stat().st_mtime


def python_clients(environment, chosen):
    report = ROOT / "build" / "clients.xml"
    run(VENV / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1", *sorted(HERE.glob("client_*.py")),
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


def build():
    run(ROOT / "scripts" / "configure.sh", ROOT / "build", "-Dtests=enabled")
    run("ninja", "-C", ROOT / "build", "smollm", "tests/clients/replay_server", stdout=subprocess.DEVNULL)


def main():
    build()
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
