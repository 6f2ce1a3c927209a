"""Coding agents, each with one task and no keyboard: the agent asks for a tool, gets it run, and ends.

The real small model answers through its own chat format, cache and parser, but its tokens are replayed from a script
(replay_server.c): what it would say itself would drive no agent. Each agent has an empty project, an empty home, and no
way to other hosts than this one.
"""
import json
import os
import pathlib
import platform
import re
import shlex
import subprocess
import tempfile

import pytest
from clients_page import lines_of
from server_process import ROOT, Server

AGENTS = ROOT / "tests" / "clients" / "agents" / "node_modules"
MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
NODE = AGENTS / f"node-linux-{MACHINE}" / "bin" / "node"
BUILD = pathlib.Path(os.environ.get("SMOLLM_BUILD_DIR", ROOT / "build"))

# What agents send elsewhere, or ask of root, is switched off.
QUIET = {"DO_NOT_TRACK": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1",
         "OPENCODE_DISABLE_MODELS_FETCH": "1", "CONTINUE_TELEMETRY_ENABLED": "0", "PI_OFFLINE": "1"}

TASK = "Write one sentence about kingfishers into the file note.txt."
NOTE = "A kingfisher dives headfirst."
FINAL = "The sentence stands in note.txt now."


class Agent:
    """A server that replays, and an agent's home and project."""

    def __init__(self, folder, record):
        self.folder, self.record = folder, record
        self.home, self.project = folder / "home", folder / "project"
        self.home.mkdir()
        self.project.mkdir()
        self.server = None

    def serve(self, *rules):
        """rules: name, texts that the prompt must have, and what is said then; the first that fits. Others hear "Note"."""
        script = self.folder / "script.json"
        rules = [{"name": name, "when": when, "say": say} for name, when, say in rules]
        script.write_text(json.dumps([*rules, {"name": "other", "say": "Note"}]))
        model = os.environ["SMOLLM_TEST_MODEL"]
        self.server = Server(self.folder, model, "-c", "32768", "--rope-scaling", "yarn", "--rope-scale", "4", "-np", "2",
                             "--alias", "small", "--log-format", "json", program=BUILD / "tests" / "clients" / "replay_server",
                             environment={"REPLAY_SCRIPT": str(script), "REPLAY_MODEL": model})

    def serve_tool(self, tool, arguments, result):
        """The usual script: a call of the tool when there are tools and the task; the final words when the prompt has
        that call, and this text as the tool's result."""
        call = "<tool_call>\n" + json.dumps({"name": tool, "arguments": arguments}) + "\n</tool_call>"
        called = f'<|im_start|>assistant\n<tool_call>\n{{"name": "{tool}", "arguments": {{'
        self.serve(("final", ["<tools>", TASK, called, "<tool_response>", result], FINAL),
                   ("lost", ["<tools>", TASK, "<tool_response>"], "The call or its result is missing."),
                   ("call", ["<tools>", TASK], call))

    def write_lines(self, client, path):
        """The lines of docs/clients.md are this client's configuration file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines_of(client, self.server.url))

    def run_lines(self, client, name, *command):
        """What the agent says when the lines of docs/clients.md are typed: they start it by its name, and this command with its
        options stands behind that name."""
        program = self.folder / "bin" / name
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n')
        program.chmod(0o755)
        return self.run("sh", "-ec", lines_of(client, self.server.url))

    def run(self, *command, seconds=900):
        """What the agent has said."""
        path = f"{self.folder / 'bin'}:{NODE.parent}:{os.environ['PATH']}"
        dead = "http://127.0.0.1:9"  # the discard port: nothing listens there
        environment = {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", **QUIET, "HTTP_PROXY": dead,
                       "HTTPS_PROXY": dead, "https_proxy": dead, "http_proxy": dead, "NO_PROXY": "127.0.0.1,localhost",
                       "no_proxy": "127.0.0.1,localhost"}
        done = subprocess.run([str(part) for part in command], cwd=self.project, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=seconds, env=environment)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr, self.server.log())
        return done.stdout

    def second_turn(self):
        """Part of the last prompt that came from the cache, which has all that an earlier sequence begins with."""
        log = self.server.log()
        (tokens, known), = re.findall(r"^replay: rule final, prompt of (\d+) tokens, (\d+) of them in an earlier one$", log, re.M)
        lines = [json.loads(line) for line in log.splitlines() if line.startswith('{"time"')]
        turn, = [line for line in lines if line.get("prompt_tokens") == int(tokens)]
        self.record("second_turn", f"{turn['cached_tokens']} of {tokens} tokens cached")
        assert turn["cached_tokens"] >= int(known)  # more where the server has read ahead
        return turn["cached_tokens"] / int(tokens)

    def note(self):
        return (self.project / "note.txt").read_text().strip()


@pytest.fixture
def agent(record_property):
    with tempfile.TemporaryDirectory(prefix="agent-") as folder:  # its name is in prompts and calls: shorter than pytest's
        agent = Agent(pathlib.Path(folder), record_property)
        yield agent
        if agent.server:
            print(agent.server.log())
            agent.server.stop()


def test_claude_code(agent):
    agent.serve_tool("Write", {"file_path": str(agent.project / "note.txt"), "content": NOTE}, "File created")
    said = agent.run_lines("Claude Code", "claude", "node", AGENTS / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs", "-p", TASK,
                           "--tools", "Bash,Read,Edit,Write", "--permission-mode", "bypassPermissions")
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_codex(agent):
    agent.serve_tool("exec_command", {"cmd": f"echo '{NOTE}' > note.txt; wc -c note.txt"}, "30 note.txt")
    agent.write_lines("Codex", agent.home / ".codex" / "config.toml")
    said = agent.run(AGENTS / ".bin" / "codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK)
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_opencode(agent):
    agent.serve_tool("write", {"content": NOTE, "filePath": str(agent.project / "note.txt")}, "Wrote file successfully")
    agent.write_lines("opencode", agent.project / "opencode.json")
    said = agent.run(AGENTS / f"opencode-linux-{MACHINE}" / "bin" / "opencode", "run", TASK)
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_continue(agent):
    agent.serve_tool("Write", {"filepath": "note.txt", "content": NOTE}, "Successfully created")
    agent.write_lines("Continue", agent.home / ".continue" / "config.yaml")
    said = agent.run("node", AGENTS / ".bin" / "cn", "--auto", "-p", TASK)
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_qwen_code(agent):
    agent.serve_tool("write_file", {"file_path": str(agent.project / "note.txt"), "content": NOTE}, "Successfully created")
    said = agent.run_lines("qwen-code", "qwen", "node", AGENTS / ".bin" / "qwen", "--yolo", "-p", TASK)
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_pi(agent):
    agent.serve_tool("write", {"path": "note.txt", "content": NOTE}, "Successfully wrote")
    agent.write_lines("pi", agent.home / ".pi" / "agent" / "models.json")
    said = agent.run("node", AGENTS / ".bin" / "pi", "--provider", "smollm", "--model", "any", "-p", TASK)
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


@pytest.mark.skipif(not (ROOT / ".venv-aider").exists(), reason="aider needs Python 3.12 or older")
def test_aider(agent):
    """It edits by text alone. A command of its user that fails after the first edit makes a second turn, in which aider
    moves the changed file behind the first one: less of that prompt can be cached, and all of it is."""
    agent.serve(("final", [TASK, "grep dives note.txt"], f"{FINAL}\n\nnote.txt\n```\n{NOTE}\n```"),
                ("first", [TASK], "This is the sentence.\n\nnote.txt\n```\nA kingfisher waits.\n```"))
    said = agent.run_lines("aider", "aider", ROOT / ".venv-aider" / "bin" / "aider", "--edit-format", "whole", "--no-git", "--yes-always",
                           "--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--auto-test", "--test-cmd",
                           "grep dives note.txt", "--message", TASK, "note.txt")
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() > 0.4
