#!/usr/bin/env python3
"""Check that a room under src/ includes headers only from itself and from rooms below it (docs/architecture.md), and that
file names are unique in src/."""
import pathlib
import re
import sys

ROOMS = ["tools", "cli", "server", "api", "library", "engine", "sampling", "grammar", "chat", "tokenizer", "model", "kernel", "quant",
         "gguf", "base"]
SOURCE = pathlib.Path(__file__).resolve().parents[1] / "src"
# Rooms that must not see each other although one stands below the other.
# The public promise of the whole is known from engine/ up; rooms below have its error codes and its text type.
BELOW = "base gguf quant kernel model tokenizer chat".split()
STRANGERS = {*((room, r"smollm\.h") for room in BELOW if room not in ("chat",)), ("server", r"jansson\.h"), ("engine", r"(chat|tokenizer)/.*"), ("chat", r"tokenizer/.*"),
             ("kernel", r"model/.*"), ("library", r"jansson\.h|uv\.h"), ("api", r"uv\.h|sys/socket\.h"),
             ("engine", r"jansson\.h|uv\.h"), ("tools", r"(server|api|library)/.*")}
# Commands live on the public library, as any other program would; serve starts the server too.
PUBLIC = {"cli": {"cli", "base"}, "cli/serve.c": {"cli", "base", "server", "api"}}

# Inside api/: the core knows no dialect, and dialects know each other only where one speaks with another's errors.
DIALECTS = {"core": {"core"}, "shared": {"core", "shared"}, "llama_server": {"core", "shared", "llama_server", "openai", "vllm"},
            "vllm": {"core", "shared", "vllm", "openai"},
            "decisions": {"core", "shared", "decisions", "openai", "responses"},
            "ollama": {"core", "shared", "ollama", "openai"},
            "responses": {"core", "shared", "responses", "openai"}}

problems, names = [], {}
for path in sorted(SOURCE.rglob("*.[ch]")):
    room = path.relative_to(SOURCE).parts[0]
    if room not in ROOMS:
        problems.append(f"{path}: {room}/ is not a room of docs/architecture.md")
        continue
    if path.name in names:
        problems.append(f"{path}: there is {names[path.name]} too")
    names[path.name] = path
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not match:
            continue
        header = match.group(1)
        other = header.split("/")[0]
        if "/" in header and other in ROOMS and ROOMS.index(other) < ROOMS.index(room):
            problems.append(f"{path}:{number}: {room}/ includes {header} from above")
        allowed = PUBLIC.get(str(path.relative_to(SOURCE)), PUBLIC.get(room))
        if allowed and "/" in header and other in ROOMS and other not in allowed:
            problems.append(f"{path}:{number}: {room}/ lives on smollm.h and does not include {header}")
        parts = path.relative_to(SOURCE).parts
        if room == "api" and len(parts) == 3 and other == "api" and header.count("/") == 2:
            known = DIALECTS.get(parts[1], {"core", "shared", parts[1]})
            if header.split("/")[1] not in known:
                problems.append(f"{path}:{number}: api/{parts[1]}/ does not include {header}")
        for who, pattern in STRANGERS:
            if who == room and re.fullmatch(pattern, header):
                problems.append(f"{path}:{number}: {room}/ knows nothing of {header}")
print("\n".join(problems))
sys.exit(bool(problems))
