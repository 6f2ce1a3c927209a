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
import subprocess
import tempfile

import pytest
from server_process import ROOT, Server

AGENTS = ROOT / "tests" / "clients" / "agents" / "node_modules"
MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
NODE = AGENTS / f"node-linux-{MACHINE}" / "bin" / "node"
BUILD = pathlib.Path(os.environ.get("SMOLLM_BUILD_DIR", ROOT / "build"))

TASK = "Write one sentence about kingfishers into the file note.txt."
NOTE = "A kingfisher dives headfirst."
FINAL = "The sentence stands in note.txt now."


class Agent:
    """A server that replays, and an agent's home and project."""

    def __init__(self, folder, context=32768):
        self.folder, self.context = folder, context
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
        self.server = Server(self.folder, model, "-c", self.context, "--rope-scaling", "yarn", "--rope-scale", "4", "-np", "2",
                             "--alias", "small", "--log-format", "json", program=BUILD / "tests" / "clients" / "replay_server",
                             environment={"REPLAY_SCRIPT": str(script), "REPLAY_MODEL": model})
        return self.server.url

    def serve_tool(self, tool, arguments, result):
        """The usual script: a call of the tool when there are tools and the task; the final words when the tool has
        answered with this text."""
        call = "<tool_call>\n" + json.dumps({"name": tool, "arguments": arguments}) + "\n</tool_call>"
        return self.serve(("final", ["<tools>", TASK, "<tool_response>", result], FINAL), ("call", ["<tools>", TASK], call))

    def run(self, *command, seconds=300, **environment):
        """What the agent has said."""
        path = f"{NODE.parent}:{os.environ['PATH']}"
        dead = "http://127.0.0.1:9"  # the discard port: nothing listens there
        done = subprocess.run([str(part) for part in command], cwd=self.project, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=seconds,
                              env={"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "DO_NOT_TRACK": "1",
                                   "HTTP_PROXY": dead, "HTTPS_PROXY": dead, "https_proxy": dead, "http_proxy": dead,
                                   "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", **environment})
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr, self.server.log())
        return done.stdout

    def second_turn(self):
        """Part of the last prompt that came from the cache, which has all that an earlier sequence begins with."""
        log = self.server.log()
        (tokens, known), = re.findall(r"^replay: rule final, prompt of (\d+) tokens, (\d+) of them in an earlier one$", log, re.M)
        lines = [json.loads(line) for line in log.splitlines() if line.startswith('{"time"')]
        turn, = [line for line in lines if line.get("prompt_tokens") == int(tokens)]
        print(f"second turn: {turn['cached_tokens']} of {tokens} tokens cached, {known} known")
        assert turn["cached_tokens"] >= int(known)  # more where the server has read ahead
        return turn["cached_tokens"] / int(tokens)

    def note(self):
        return (self.project / "note.txt").read_text().strip()


@pytest.fixture
def agent():
    with tempfile.TemporaryDirectory(prefix="agent-") as folder:  # its name is in prompts and calls: shorter than pytest's
        agent = Agent(pathlib.Path(folder))
        yield agent
        if agent.server:
            print(agent.server.log())
            agent.server.stop()


def test_claude_code(agent):
    url = agent.serve_tool("Write", {"file_path": str(agent.project / "note.txt"), "content": NOTE}, "File created")
    said = agent.run("node", AGENTS / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs", "-p", TASK, "--tools", "Bash,Read,Edit,Write",
                     "--permission-mode", "bypassPermissions", ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="none", IS_SANDBOX="1",
                     CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1")
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_codex(agent):
    url = agent.serve_tool("exec_command", {"cmd": f"echo '{NOTE}' > note.txt; wc -c note.txt"}, "30 note.txt")
    config = agent.home / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text(f"""model = "small"
model_provider = "smollm"
[model_providers.smollm]
name = "smollm"
base_url = "{url}/v1"
wire_api = "responses"
""")
    said = agent.run(AGENTS / ".bin" / "codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK)
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_opencode(agent):
    url = agent.serve_tool("write", {"content": NOTE, "filePath": str(agent.project / "note.txt")}, "Wrote file successfully")
    (agent.project / "opencode.json").write_text(json.dumps({
        "provider": {"smollm": {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": url + "/v1"}, "models": {"small": {}}}}}))
    said = agent.run(AGENTS / f"opencode-linux-{MACHINE}" / "bin" / "opencode", "run", "-m", "smollm/small", TASK,
                     OPENCODE_DISABLE_AUTOUPDATE="1", OPENCODE_DISABLE_MODELS_FETCH="1")
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_pi(agent):
    url = agent.serve_tool("write", {"path": "note.txt", "content": NOTE}, "Successfully wrote")
    models = agent.home / ".pi" / "agent" / "models.json"
    models.parent.mkdir(parents=True)
    models.write_text(json.dumps({"providers": {"smollm": {"baseUrl": url + "/v1", "api": "openai-completions", "apiKey": "none",
                                                           "models": [{"id": "small"}]}}}))
    said = agent.run("node", AGENTS / ".bin" / "pi", "--offline", "--provider", "smollm", "--model", "small", "-p", TASK)
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_qwen_code(agent):
    url = agent.serve_tool("write_file", {"file_path": str(agent.project / "note.txt"), "content": NOTE}, "Successfully created")
    said = agent.run("node", AGENTS / ".bin" / "qwen", "--auth-type", "openai", "--openai-base-url", url + "/v1", "--openai-api-key", "none",
                     "--model", "small", "--yolo", "-p", TASK, QWEN_CODE_DISABLE_TELEMETRY="1")
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


def test_continue(agent):
    url = agent.serve_tool("Write", {"filepath": "note.txt", "content": NOTE}, "Successfully created")
    config = agent.home / "config.yaml"
    config.write_text(f"""name: local
version: 1.0.0
schema: v1
models:
  - name: small
    provider: openai
    model: small
    apiBase: {url}/v1
    apiKey: none
    capabilities: [tool_use]
""")
    said = agent.run("node", AGENTS / ".bin" / "cn", "--config", config, "--auto", "-p", TASK, CONTINUE_TELEMETRY_ENABLED="0")
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() >= 0.95


@pytest.mark.skipif(not (ROOT / ".venv-aider").exists(), reason="aider needs Python 3.12 or older")
def test_aider(agent):
    """It edits by text alone. A command of its user that fails after the first edit makes a second turn, in which aider
    moves the changed file behind the first one: less of that prompt can be cached, and all of it is."""
    url = agent.serve(("final", [TASK, "grep dives note.txt"], f"{FINAL}\n\nnote.txt\n```\n{NOTE}\n```"),
                      ("first", [TASK], "This is the sentence.\n\nnote.txt\n```\nA kingfisher waits.\n```"))
    said = agent.run(ROOT / ".venv-aider" / "bin" / "aider", "--model", "openai/small", "--openai-api-base", url + "/v1", "--openai-api-key", "none",
                     "--edit-format", "whole", "--no-git", "--yes-always", "--no-check-update", "--analytics-disable", "--no-show-model-warnings",
                     "--auto-test", "--test-cmd", "grep dives note.txt", "--message", TASK, "note.txt")
    assert agent.note() == NOTE and FINAL in said
    assert agent.second_turn() > 0.4
