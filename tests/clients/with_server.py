#!/usr/bin/env python3
"""Runs a command while a server with the small model is there; its address is in SMOLLM_URL.

usage: with_server.py COMMAND...
"""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "server"))
from server_process import Server  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    server = Server(pathlib.Path(folder), os.environ["SMOLLM_TEST_MODEL"], "-c", "8192", "-np", "2", "--alias", "small", "--temp", "0.3", "--seed", "1")
    try:
        code = subprocess.run(sys.argv[1:], env={**os.environ, "SMOLLM_URL": server.url}).returncode
    finally:
        server.stop()
sys.exit(code)
