"""Answers held to a form, through every name that clients have for it."""
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

PERSON = {"type": "object", "additionalProperties": False, "required": ["name", "age", "married", "tags"],
          "properties": {"name": {"type": "string", "maxLength": 12, "pattern": "^[A-Z][a-z]+$"},
                         "age": {"type": "integer", "minimum": 1, "maximum": 99}, "married": {"type": "boolean"},
                         "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 1, "maxItems": 2, "uniqueItems": True}}}
ASK = [{"role": "user", "content": "Describe a person as JSON."}]


def check_person(text):
    person = json.loads(text)
    assert list(person) == ["name", "age", "married", "tags"]  # in the order of the schema
    assert re.fullmatch("[A-Z][a-z]+", person["name"]) and len(person["name"]) <= 12
    assert type(person["age"]) is int and 1 <= person["age"] <= 99 and type(person["married"]) is bool
    assert 1 <= len(person["tags"]) <= 2 and len(set(person["tags"])) == len(person["tags"])


SCHEMA_FIELDS = [
    {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}},
    {"response_format": {"type": "json_schema", "schema": PERSON}},
    {"response_format": {"type": "json_object", "schema": PERSON}},
    {"response_format": {"type": "json_object", "value": PERSON}},
    {"json_schema": PERSON}, {"guided_json": PERSON}, {"guided_json": json.dumps(PERSON)}, {"structured_outputs": {"json": PERSON}},
]


@pytest.mark.parametrize("fields", SCHEMA_FIELDS, ids=lambda f: next(iter(f)))
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_schemas(small, fields, temperature):
    for path, prompt in (("/v1/chat/completions", {"messages": ASK}), ("/v1/completions", {"prompt": "A person: "}),
                         ("/completion", {"prompt": "A person: "})):
        answer = small.http.post(path, json={**prompt, **fields, "max_tokens": 400, "temperature": temperature, "seed": 3}).json()
        text = (answer["content"] if path == "/completion" else answer["choices"][0].get("text") if path == "/v1/completions"
                else answer["choices"][0]["message"]["content"])
        if path == "/completion":
            assert answer["stop_type"] == "eos"
        else:
            assert answer["choices"][0]["finish_reason"] == "stop"
        check_person(text)


@pytest.mark.parametrize("fields, form", [
    ({"guided_choice": ["left", "right"]}, "left|right"), ({"structured_outputs": {"choice": ["left", "right"]}}, "left|right"),
    ({"guided_regex": r"\d{4}-[0-1]\d"}, r"\d{4}-[0-1]\d"), ({"structured_outputs": {"regex": "a+b"}}, "a+b"),
    ({"response_format": {"type": "regex", "value": "[xyz]{5}"}}, "[xyz]{5}"),
    ({"grammar": 'root ::= "(" [a-c] root? ")"'}, r"[(a-c)]+"), ({"guided_grammar": 'root ::= "yes" | "no"'}, "yes|no"),
    ({"structured_outputs": {"grammar": 'root ::= x x\nx ::= "u" | "v"'}}, "[uv]{2}"),
], ids=lambda v: str(v)[:40])
def test_grammars(small, fields, form):
    for seed in range(3):
        answer = small.http.post("/v1/chat/completions", json={"messages": ASK, **fields, "max_tokens": 60, "temperature": 1.2, "seed": seed})
        choice = answer.json()["choices"][0]
        if choice["finish_reason"] == "stop":
            assert re.fullmatch(form, choice["message"]["content"]), choice
        if "grammar" in fields and choice["finish_reason"] == "stop":
            assert choice["message"]["content"].count("(") == choice["message"]["content"].count(")")


def test_any_object(small):
    answer = small.http.post("/v1/chat/completions", json={"messages": ASK, "response_format": {"type": "json_object"}, "max_tokens": 200,
                                                           "temperature": 0}).json()["choices"][0]
    assert answer["message"]["content"].startswith("{")
    if answer["finish_reason"] == "stop":
        assert type(json.loads(answer["message"]["content"])) is dict


def test_openai_client(small):
    openai = pytest.importorskip("openai")
    pydantic = pytest.importorskip("pydantic")

    class Point(pydantic.BaseModel):
        x: int
        y: int
        label: str = pydantic.Field(max_length=10)

    answer = small.openai().chat.completions.parse(model="any", messages=ASK, response_format=Point, temperature=0, max_tokens=200)
    assert isinstance(answer.choices[0].message.parsed, Point)
    with small.openai().chat.completions.stream(model="any", messages=ASK, response_format=Point, temperature=0, max_tokens=200) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == answer.choices[0].message.parsed
    assert openai


def test_the_form_begins_after_thinking(parrot):
    """The parrot says what it has learned: <think>, some words, </think>, then the form's text."""
    for form in ({"guided_regex": "Gr.*"}, {"grammar": 'root ::= "Gr" .*'}):
        message = parrot.http.post("/v1/chat/completions", json={"messages": ASK, **form}).json()["choices"][0]["message"]
        assert message["reasoning_content"] == "Let me see."
        assert message["content"].startswith("Grüße ")


@pytest.mark.parametrize("fields, words", [
    ({"json_schema": {"type": "object", "properties": {"a": {"items": {"type": "strin"}}}}}, "properties.a.items.type"),
    ({"json_schema": {"properties": {"a": {"pattern": "("}}}}, "properties.a.pattern"),
    ({"json_schema": {"$ref": "http://example.com/x.json"}}, "$ref"), ({"json_schema": {"$ref": "#"}}, "itself"),
    ({"json_schema": {"type": "string", "minLength": 3, "maxLength": 2}}, "no value"),
    ({"json_schema": {"type": "object", "properties": {"a": False}, "required": ["a"]}}, "no value"),
    ({"json_schema": {"allOf": [{"type": "string"}, {"type": "integer"}]}}, "no value"),
    ({"json_schema": "{"}, "JSON"), ({"grammar": "a ::= \"x\""}, "root"), ({"grammar": "root ::= root \"x\""}, "left recursion"),
    ({"grammar": "root ::= b"}, "not defined"), ({"grammar": "root ::= \"x"}, "closed"), ({"guided_regex": "["}, "closed"),
    ({"guided_regex": "(a)\\1"}, "back references"), ({"guided_regex": "a{3,2}"}, "order"),
    ({"guided_regex": "a", "grammar": "root ::= \"a\""}, "both"),
], ids=lambda v: str(v)[:50])
def test_what_cannot_be_followed_is_refused(small, fields, words):
    answer = small.http.post("/v1/chat/completions", json={"messages": ASK, **fields, "max_tokens": 5})
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"], answer.json()


def test_same_bits_in_a_crowd(small):
    """A constrained answer alone, and among others with other forms and with none."""
    def ask(seed, fields, **more):
        return small.http.post("/v1/chat/completions", json={"messages": ASK, **fields, "max_tokens": 80, "temperature": 1, "seed": seed,
                                                             "logprobs": True, "top_logprobs": 2, **more}, timeout=120).json()["choices"][0]

    crowd = [(seed, fields) for seed in range(4) for fields in (SCHEMA_FIELDS[0], {"guided_regex": "[a-z ]{5,30}"}, {})]
    alone = [ask(*one) for one in crowd]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda one: ask(*one), crowd))
    for a, b in zip(alone, together):
        assert a["message"] == b["message"] and a["logprobs"] == b["logprobs"] and a["finish_reason"] == b["finish_reason"]


def test_guesses_change_nothing(small, start):
    """Bytes that are certain are computed ahead; without that the answer is the same."""
    import os
    slow = start(os.environ["SMOLLM_TEST_MODEL"], "-c", "2048", "--spec", "off")
    body = {"messages": ASK, **SCHEMA_FIELDS[0], "max_tokens": 200, "temperature": 0.8, "seed": 11, "logprobs": True}
    answers = [server.http.post("/v1/chat/completions", json=body).json() for server in (small, slow)]
    assert answers[0]["choices"] == answers[1]["choices"]
    slow.stop()


def test_a_pause_changes_nothing(start, folder):
    """A constrained answer that gives its place to another key's request, and takes it again."""
    import os
    keys = folder / "forms.keys"
    keys.write_text("key0\nkey1\n")
    server = start(os.environ["SMOLLM_TEST_MODEL"], "--api-key-file", keys, "--metrics", "-c", "1024", "-np", "2", "-ub", "8")

    def ask(key, **body):
        answer = server.http.post("/v1/completions", json={"temperature": 1, **body}, headers={"Authorization": "Bearer " + key}, timeout=120)
        return answer.json()

    def pauses():
        shown = server.http.get("/metrics", headers={"Authorization": "Bearer key0"}).text
        return float(re.search(r"^smollm_pauses_total ([0-9.]+)$", shown, re.M)[1])

    items = {"type": "array", "minItems": 12, "maxItems": 12, "items": {"type": "object", "required": ["name", "n"], "additionalProperties": False,
             "properties": {"name": {"type": "string", "maxLength": 12}, "n": {"type": "integer", "minimum": 0, "maximum": 999}}}}
    body = {"prompt": "A list: ", "json_schema": items, "max_tokens": 500, "seed": 8, "logprobs": 2}
    alone, paused = ask("key0", **body)["choices"], 0
    for _ in range(20):
        with ThreadPoolExecutor(2) as pool:
            busy = pool.submit(ask, "key0", prompt="x", max_tokens=300, ignore_eos=True)
            constrained = pool.submit(ask, "key0", **body)
            before = pauses()
            while not constrained.done():
                ask("key1", prompt="hello", max_tokens=2)
            assert constrained.result()["choices"] == alone
            busy.result()
        paused += pauses() - before
        if paused > 2:
            break
    assert paused > 2
    assert len(json.loads(alone[0]["text"])) == 12
    server.stop()


def test_several_answers(small):
    answer = small.http.post("/v1/chat/completions", json={"messages": ASK, **SCHEMA_FIELDS[0], "n": 3, "max_tokens": 300, "temperature": 1,
                                                           "seed": 5}).json()
    assert len(answer["choices"]) == 3
    for choice in answer["choices"]:
        check_person(choice["message"]["content"])


def test_too_short(small):
    answer = small.http.post("/v1/chat/completions", json={"messages": ASK, **SCHEMA_FIELDS[0], "max_tokens": 12}).json()["choices"][0]
    assert answer["finish_reason"] == "length"


@pytest.mark.parametrize("fields, tokens", [(SCHEMA_FIELDS[0], 1), (SCHEMA_FIELDS[4], 1), ({"guided_regex": "[ab]{200}"}, 2),
                                            ({"guided_choice": ["a quick brown fox jumps", "over the lazy dog"]}, 2)], ids=str)
def test_provably_too_short(small, fields, tokens):
    """Of an answer that certainly cannot be complete nothing is generated."""
    for path, prompt in (("/v1/chat/completions", {"messages": ASK}), ("/v1/completions", {"prompt": "A person: "}), ("/completion", {"prompt": "x"})):
        answer = small.http.post(path, json={**prompt, **fields, "max_tokens": tokens})
        assert answer.status_code == 400, answer.text
        assert f"may have {tokens} tokens" in answer.json()["error"]["message"]


def test_nothing_may_follow(small):
    """Without an end token the answer ends where the form ends."""
    answer = small.http.post("/completion", json={"prompt": "x", "grammar": 'root ::= "yes"', "ignore_eos": True, "n_predict": 50}).json()
    assert answer["content"] == "yes" and answer["tokens_predicted"] < 5
    longer = small.http.post("/completion", json={"prompt": "x", "guided_regex": "[ab]+", "ignore_eos": True, "n_predict": 50, "temperature": 2,
                                                  "seed": 1}).json()
    assert re.fullmatch("[ab]+", longer["content"]) and longer["stop_type"] == "limit"


def test_tokens_that_are_allowed(small):
    """vLLM's names: the answer is made of these tokens alone, none of which ends it."""
    ids = small.http.post("/tokenize", json={"content": " yes no"}).json()["tokens"]
    answer = small.http.post("/completion", json={"prompt": "Really?", "allowed_token_ids": ids, "n_predict": 12, "return_tokens": True,
                                                  "temperature": 1, "seed": 1}).json()
    assert set(answer["tokens"]) <= set(ids) and answer["tokens_predicted"] == 12


def test_bad_words(small):
    body = {"prompt": "One, two, three, four,", "temperature": 0, "n_predict": 30}
    said = small.http.post("/completion", json=body).json()["content"]
    word = re.findall("[a-z]{3,}", said)[0]
    other = small.http.post("/completion", json={**body, "bad_words": [word]}).json()["content"]
    assert word in said and not re.search(rf"(^| ){word}", other)


def test_stop_tokens_and_least_tokens(small):
    body = {"prompt": "One, two, three, four,", "temperature": 0, "n_predict": 30, "return_tokens": True}
    tokens = small.http.post("/completion", json=body).json()["tokens"]
    at = next(i for i in range(3, len(tokens)) if tokens[i] not in tokens[:i])
    cut = small.http.post("/completion", json={**body, "stop_token_ids": [tokens[at]]}).json()
    assert cut["tokens"] == tokens[:at] and cut["stop_type"] == "eos"
    # No end before min_tokens: the token is not drawn, although it is the most likely one.
    longer = small.http.post("/completion", json={**body, "stop_token_ids": [tokens[at]], "min_tokens": at + 3}).json()
    assert longer["tokens"][:at] == tokens[:at] and len(longer["tokens"]) >= at + 3 and tokens[at] not in longer["tokens"][:at + 3]
    # A form that is complete ends all the same.
    form = small.http.post("/completion", json={**body, "grammar": 'root ::= "ok"', "min_tokens": 20}).json()
    assert form["content"] == "ok"


@pytest.mark.parametrize("fields", [{"allowed_token_ids": [-1]}, {"allowed_token_ids": [10 ** 9]}, {"stop_token_ids": ["x"]}, {"bad_words": "x"},
                                    {"bad_words": [""]}, {"min_tokens": -1}, {"allowed_token_ids": 5}], ids=str)
def test_token_fields_that_are_refused(small, fields):
    answer = small.http.post("/v1/completions", json={"prompt": "x", "max_tokens": 1, **fields})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == next(iter(fields))


def test_thinking_has_a_budget(start, folder):
    """The parrot thinks for ever; its thinking is closed, and the form begins."""
    from parrot_model import make_parrot

    make_parrot(folder / "thinker.gguf", ["<think>", "so ", "and "], loop=1)
    server = start(folder / "thinker.gguf", "-c", "4096", "--temp", "0", "-np", "2")
    body = {"messages": ASK, "guided_regex": "yes|no", "max_tokens": 500}
    short = server.http.post("/v1/chat/completions", json={**body, "reasoning_budget": 12}).json()
    assert short["choices"][0]["message"]["content"] in ("yes", "no") and short["choices"][0]["finish_reason"] == "stop"
    assert 12 <= short["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 30
    free = server.http.post("/v1/chat/completions", json={"messages": ASK, "max_tokens": 60, "reasoning_budget": 5}).json()
    assert free["choices"][0]["message"]["content"] and len(free["choices"][0]["message"]["reasoning_content"]) < 60
    off = server.http.post("/v1/chat/completions", json={**body, "reasoning_budget": 0}).json()["choices"][0]["message"]
    assert off["content"] in ("yes", "no") and not off.get("reasoning_content")
    # Another request ends the thinking of one that has no budget.
    seen, ended = 0, None
    with server.http.stream("POST", "/v1/chat/completions", json={**body, "max_tokens": 4000, "stream": True}) as stream:
        for line in stream.iter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            seen += 1
            if seen == 20:
                ended = server.http.post("/v1/end-thinking", json={"id": chunk["id"]})
            for choice in chunk["choices"]:
                text = choice["delta"].get("content")
    assert ended.status_code == 200 and ended.json()["ended"] is True
    assert seen < 3000
    missing = server.http.post("/v1/end-thinking", json={"id": "chatcmpl-0"})
    assert missing.status_code == 404
    assert server.http.post("/v1/end-thinking", json={}).status_code == 400
    server.stop()
