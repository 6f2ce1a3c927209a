#!/usr/bin/env python3
"""Writes goldens.json: prompts as Jinja2 makes them of the templates, ids as HF tokenizers makes them of the prompts,
and Python's own str() of tools. Needs jinja2, tokenizers, gguf.

usage: make_goldens.py SMOLLM3-TEMPLATE SMOLLM2.gguf LLAMA3-TOKENIZER-FOLDER
       make_goldens.py --llama31 FOLDER     (those of Llama 3.1 and 3.2 alone)

FOLDER has meta-llama-Llama-3.1-8B-Instruct.jinja and meta-llama-Llama-3.2-3B-Instruct.jinja, as vendor/llama.cpp/models/templates
of the source package of PyPI llama-cpp-python has.

How the ids are made: the prompt is rendered with every text of the conversation between two private characters, so that
it is known which parts the template wrote. Special tokens are split off in those parts alone; what lies between two of
them, whoever wrote it, is encoded by HF tokenizers as one text, with special tokens taken as plain text. Where no text
of a conversation spells a special token the result is checked against HF's encoding of the whole prompt.
"""
import datetime
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tokenizer"))
from conversations import DATE, all_cases, all_llama31_cases, ids_cases, repr_cases  # noqa: E402

BEFORE, AFTER = "\ue000", "\ue001"
# SmolLM3 is Llama 3's vocabulary with other special tokens.
SMOLLM3_TOKENS = {128002: "<think>", 128003: "</think>", 128011: "<|im_start|>", 128012: "<|im_end|>",
                  128013: "<tool_response>", 128014: "</tool_response>", 128015: "<tool_call>", 128016: "</tool_call>"}


def jinja_environment():
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message):
        raise ValueError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda x, **k: json.dumps(x, ensure_ascii=False, **k)
    environment.globals["raise_exception"] = raise_exception
    day = datetime.datetime.strptime(DATE, "%d %B %Y")
    environment.globals["strftime_now"] = day.strftime
    return environment


def load_templates(smollm3, smollm2, llama3):
    import gguf
    environment = jinja_environment()
    sources = {
        "smollm3": pathlib.Path(smollm3).read_text(),
        "chatml": gguf.GGUFReader(smollm2).fields["tokenizer.chat_template"].contents(),
        "llama3": json.loads((pathlib.Path(llama3) / "tokenizer_config.json").read_text())["chat_template"],
    }
    return {name: environment.from_string(source) for name, source in sources.items()}


def tool_of(text):
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def render(templates, case):
    values = {"messages": case["messages"], "add_generation_prompt": not case.get("no_generation_prompt", False),
              "bos_token": "<|begin_of_text|>"}
    if "thinking" in case:
        values["enable_thinking"] = case["thinking"]
    if "tools" in case:
        values["xml_tools"] = [tool_of(t) for t in case["tools"]]
    if "python_tools" in case:
        values["python_tools"] = [tool_of(t) for t in case["python_tools"]]
    return templates[case["format"]].render(**values)


def render_llama31(template, case):
    """The tools and calls as OpenAI's clients send them."""
    values = {"messages": [], "add_generation_prompt": not case.get("no_generation_prompt", False), "bos_token": "<|begin_of_text|>"}
    for message in case["messages"]:
        calls = [{"type": "function", "function": {**c, "arguments": json.loads(c["arguments"])}} for c in message.get("tool_calls", [])]
        values["messages"].append({**message, **({"tool_calls": calls} if calls else {})})
    if "tools" in case:
        values["tools"] = [{"type": "function", "function": json.loads(t)} for t in case["tools"]]
    if "date" in case:
        values["date_string"] = case["date"]
    return template.render(**values)


def write(**goldens):
    path = pathlib.Path(__file__).with_name("goldens.json")
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **goldens}, ensure_ascii=True, indent=0) + "\n")


def main_llama31(folder):
    environment, templates = jinja_environment(), {}
    for name, model in (("llama3.1", "3.1-8B"), ("llama3.2", "3.2-3B")):
        templates[name] = environment.from_string((pathlib.Path(folder) / f"meta-llama-Llama-{model}-Instruct.jinja").read_text())
    write(llama31=[render_llama31(templates[case["format"]], case) for case in all_llama31_cases()])


def wanted_ids(tokenizer, text, specials):
    """text has the conversation's own texts between BEFORE and AFTER."""
    plain = text.replace(BEFORE, "").replace(AFTER, "")
    pattern = "|".join(map(re.escape, sorted(specials, key=len, reverse=True)))
    pieces, ordinary = [], ""
    for i, part in enumerate(re.split("[%s%s]" % (BEFORE, AFTER), text)):
        if i % 2:
            ordinary += part
            continue
        at = 0
        for match in re.finditer(pattern, part):
            pieces += [(ordinary + part[at:match.start()], False), (match.group(), True)]
            ordinary, at = "", match.end()
        ordinary += part[at:]
    pieces.append((ordinary, False))
    assert "".join(p for p, _ in pieces) == plain
    ids = []
    tokenizer.encode_special_tokens = True
    for piece, special in pieces:
        ids += [tokenizer.token_to_id(piece)] if special else tokenizer.encode(piece, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = False
    spelled = any(re.search(pattern, part) for part in re.split("[%s%s]" % (BEFORE, AFTER), text)[1::2])
    if not spelled:
        assert ids == tokenizer.encode(plain, add_special_tokens=False).ids
    return plain, ids


def smollm3_tokenizer(folder):
    from tokenizers import Tokenizer
    source = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text())
    for token in source["added_tokens"]:
        token["content"] = SMOLLM3_TOKENS.get(token["id"], token["content"])
    source["model"]["ignore_merges"] = False
    return Tokenizer.from_str(json.dumps(source))


def main(smollm3, smollm2, llama3):
    from make_encode_goldens import llama3_tokenizer, smollm2_tokenizer
    templates = load_templates(smollm3, smollm2, llama3)
    prompts = [render(templates, case) for case in all_cases()]
    tokenizers = {"smollm3": smollm3_tokenizer(llama3), "chatml": smollm2_tokenizer(smollm2),
                  "llama3": llama3_tokenizer(llama3)}
    ids = []
    for case in ids_cases():
        tokenizer = tokenizers[case["format"]]
        added = [t.content for t in tokenizer.get_added_tokens_decoder().values()]
        marked = {**case, "messages": [{**m, "content": BEFORE + m["content"] + AFTER} for m in case["messages"]]}
        plain, one = wanted_ids(tokenizer, render(templates, marked), added)
        assert plain == render(templates, case)
        ids.append(one)
    reprs = [str(json.loads(text)) for text in repr_cases()]
    # Half surrogates cannot be written as JSON's UTF-8, but repr() has escaped them.
    write(prompts=prompts, ids=ids, reprs=reprs)


if __name__ == "__main__":
    main_llama31(sys.argv[2]) if sys.argv[1] == "--llama31" else main(*sys.argv[1:])
