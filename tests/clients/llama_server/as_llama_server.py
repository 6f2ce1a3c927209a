#!/usr/bin/env python3
"""Starts smollm serve with the options of llama-server, so that llama-server's own tests run against it.

SMOLLM and SMOLLM_TEST_MODEL name the program and the model, which stands in for whatever model a test asks for. Options
without a counterpart are dropped; its context is for all conversations together, ours for each.
"""
import os
import sys

WITH_VALUE = {"--hf-repo", "--hf-file", "--model", "--model-url", "--model-draft", "--models-dir", "--models-max", "--models-preset",
              "--batch-size", "--ubatch-size", "--n-gpu-layers", "--tags", "-ctk", "-ctv", "-fa", "--slot-save-path",
              "--grp-attn-n", "--grp-attn-w", "--lora", "--spec-type", "--spec-draft-n-max", "--spec-draft-n-min", "--spec-synth-len",
              "--spec-synth-rates", "--reasoning-format", "--reasoning", "--chat-template", "--chat-template-file", "--mmproj-url",
              "--media-path", "--sleep-idle-seconds", "--cache-ram", "--tools", "--tools-runtime", "--mcp-servers-config",
              "--mcp-servers-json"}
SAME = {"--port": "--port", "--host": "--host", "--temp": "--temp", "--seed": "--seed", "--alias": "--alias", "--threads": "--threads",
        "--n-predict": "--predict", "--parallel": "--parallel", "--ctx-size": "--ctx-size", "--api-key": "--api-key",
        "--cors-origins": "--allow-origin", "--pooling": "--pooling"}


def translate(given):
    options, flags = {}, []
    arguments = iter(given)
    for name in arguments:
        if name in SAME:
            options[SAME[name]] = next(arguments)
        elif name in WITH_VALUE:
            next(arguments)
        elif name in ("--metrics", "--no-slots", "--no-ui"):
            flags.append(name)
    if "--ctx-size" in options:
        shared = "--kv-unified" in given
        context = int(options["--ctx-size"]) // (1 if shared else int(options.get("--parallel", 1)))
        options["--ctx-size"] = str(max(min(context, 8192), 2))
    return [part for pair in options.items() for part in pair] + flags


if __name__ == "__main__":
    program = os.environ["SMOLLM"]
    os.execv(program, [program, "serve", os.environ["SMOLLM_TEST_MODEL"], *translate(sys.argv[1:])])
