"""Decisions: questions about a text, with probabilities, in both protocols and in the terminal."""
import json
import os
import subprocess

import pytest

from server_process import PROGRAM

STATE = "I was charged twice for my order last week and nobody has replied."
QUESTIONS = {
    "route": {"type": "choice", "instructions": "Which team?", "criteria": {"billing": "payments", "shipping": None, "te\"ch": None}},
    "urgency": {"type": "score", "instructions": "How urgent is this?", "criteria": ["can wait", "this week", "today", "right now"]},
    "angry": {"type": "noul", "instructions": "Is the customer angry?"},
}


def ask(server, **body):
    answer = server.http.post("/v1/systemone", json={"state": STATE, "questions": QUESTIONS, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_systemone(small):
    answer = ask(small)
    route, urgency, angry = answer["answers"].values()
    assert list(answer["answers"]) == ["route", "urgency", "angry"]
    assert list(route["probabilities"]) == ["billing", "shipping", "te\"ch"] and abs(sum(route["probabilities"].values()) - 1) < 1e-6
    assert route["choice"] == max(route["probabilities"], key=route["probabilities"].get) and 0 <= route["confidence"] <= 1
    assert urgency["legend"] == dict(zip("0123", QUESTIONS["urgency"]["criteria"])) and list(urgency["probabilities"]) == list("0123")
    assert abs(urgency["score"] - sum(i * p for i, p in enumerate(urgency["probabilities"].values()))) < 1e-6
    assert 0 < angry["noul"] < 1
    assert answer["usage"]["input_tokens"] > 100 and answer["usage"]["output_tokens"] == 0
    as_object = ask(small, state={"ticket": STATE, "plan": "pro"})
    as_text = ask(small, state='{"ticket": "' + STATE + '", "plan": "pro"}')
    assert as_object == as_text


def test_temperature(small):
    plain, hot, cold = (ask(small, temperature=t)["answers"]["route"]["probabilities"].values() for t in (1, 50, 0.05))
    assert max(hot) < max(plain) < max(cold) and max(hot) < 0.4


def test_same_bits_in_company(small):
    """Alone, among streams, one question or many: the same numbers."""
    import threading

    alone = ask(small)
    stop = threading.Event()

    def talk():
        while not stop.is_set():
            small.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Tell a story"}], "max_tokens": 60})

    talkers = [threading.Thread(target=talk) for _ in range(6)]
    for talker in talkers:
        talker.start()
    try:
        for _ in range(3):
            assert ask(small)["answers"] == alone["answers"]
        for name, question in QUESTIONS.items():
            assert ask(small, questions={name: question})["answers"][name] == alone["answers"][name]
    finally:
        stop.set()
        for talker in talkers:
            talker.join()


def test_order_is_averaged(small):
    """Reversing the options changes nothing but their order."""
    options = ["red", "green", "blue", "yellow"]
    first = ask(small, questions={"q": {"type": "choice", "instructions": "Color?", "criteria": dict.fromkeys(options)}})["answers"]["q"]
    other = ask(small, questions={"q": {"type": "choice", "instructions": "Color?", "criteria": dict.fromkeys(reversed(options))}})["answers"]["q"]
    assert {key: pytest.approx(value, abs=1e-6) for key, value in first["probabilities"].items()} == other["probabilities"]


def test_openai(small):
    body = {"model": "m", "input": STATE, "questions": [
        {"type": "predicate", "instructions": "The customer is angry.", "name": "angry"},
        {"type": "choice", "instructions": "Which?", "choices": [{"value": "true"}, {"value": True, "description": "yes"}, {"value": "x"}]},
        {"type": "score", "instructions": [{"type": "input_text", "text": "How urgent?"}], "levels": [{"label": "low"}, {"label": "high"}]}]}
    answer = small.http.post("/v1/decisions", json=body).json()
    predicate, choice, score = answer["answers"]
    assert (predicate["type"], predicate["name"]) == ("predicate", "angry") and 0 < predicate["probability"] < 1
    assert [entry["value"] for entry in choice["probabilities"]] == ["true", True, "x"] and choice["name"] is None
    assert abs(sum(entry["probability"] for entry in choice["probabilities"]) - 1) < 1e-6
    assert [entry["label"] for entry in score["probabilities"]] == ["low", "high"] and 0 <= score["score"] <= 1
    assert answer["usage"]["input_tokens"] == answer["usage"]["total_tokens"] > answer["usage"]["input_tokens_details"]["cached_tokens"] > 0
    talk = {**body, "input": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"},
                              {"role": "user", "content": [{"type": "input_json", "data": {"a": 1}}]}]}
    assert len(small.http.post("/v1/decisions", json=talk).json()["answers"]) == 3


def test_spliced_prompts(small):
    """The prompts of later questions are put together from pieces: they are what a whole rendering gives."""
    questions = {str(i): {"type": "noul", "instructions": f"Is this about topic {i}, é?"} for i in range(5)}
    together = ask(small, questions=questions)["answers"]
    for name, question in questions.items():
        assert ask(small, questions={name: question})["answers"][name] == together[name]


@pytest.mark.parametrize("change, word", [
    ({"state": None}, "state"), ({"questions": None}, "questions"), ({"questions": {}}, "questions"),
    ({"questions": {"q": {"type": "unknown", "instructions": "x"}}}, "type"), ({"questions": {"q": {"type": "noul"}}}, "instructions"),
    ({"questions": {"q": {"type": "choice", "instructions": "x"}}}, "criteria"), ({"questions": {"q": {"type": "choice", "instructions": "x", "criteria": {}}}}, "criteria"),
    ({"questions": {"q": {"type": "choice", "instructions": "x", "criteria": {"one": None}}}}, "options"),
    ({"questions": {"q": {"type": "score", "instructions": "x", "criteria": ["only one"]}}}, "criteria"), ({"temperature": 0}, "temperature"),
    ({"state": "x " * 5000}, "too long"),
])
def test_wrong_fields(small, change, word):
    answer = small.http.post("/v1/systemone", json={"state": STATE, "questions": QUESTIONS, **change})
    assert answer.status_code == 400 and word in answer.json()["error"]["message"]


def test_images(small):
    assert small.http.post("/v1/systemone", json={"state": STATE, "questions": QUESTIONS, "images": ["data:"]}).status_code == 501


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def test_terminal(small, tmp_path):
    """decide says what the server says; calibrate finds a temperature that is no worse than 1."""
    model = os.environ["SMOLLM_TEST_MODEL"]
    shown = json.loads(run("decide", model, STATE, "-q", "Which team?", "--choice", "billing,shipping", "--json").stdout)
    question = {"type": "choice", "instructions": "Which team?", "criteria": {"billing": None, "shipping": None}}
    served = ask(small, questions={"q": question})["answers"]["q"]
    assert shown["probabilities"] == pytest.approx(served["probabilities"], abs=1e-7) and shown["answer"] == served["choice"]
    piped = run("decide", model, "-q", "Angry?", input=STATE)
    assert piped.returncode == 0 and piped.stdout.splitlines()[0].endswith("yes")
    assert run("decide", model, STATE, "-q", "How?", "--levels", "low,high").stdout.splitlines()[2].endswith("expected level")
    examples = [{"text": f"It is {word}.", "question": "Is this good?", "answer": word in ("great", "fine", "lovely")}
                for word in ("great", "awful", "fine", "bad", "lovely", "poor")]
    examples.append({"text": "Water", "question": "Which?", "choices": ["wet", "dry"], "answer": "wet"})
    file = tmp_path / "examples.jsonl"
    file.write_text("".join(json.dumps(example) + "\n" for example in examples) + "\n")
    report = json.loads(run("calibrate", model, file, "--json").stdout)
    assert report["examples"] == 7 and 0 <= report["accuracy"] <= 1 and report["log_loss_fitted"] <= report["log_loss"] + 1e-9
    assert "temperature" in run("calibrate", model, file).stdout


@pytest.mark.parametrize("line, word", [("{", "line 1"), ("[]", "line 1"), ('{"text": "x"}', "question"),
                                        ('{"text": "x", "question": "y", "answer": "z"}', "true or false"),
                                        ('{"text": "x", "question": "y", "choices": ["a", "b"], "answer": "c"}', "none of the options"), ("", "no examples")])
def test_wrong_examples(tmp_path, parrot_path, line, word):
    file = tmp_path / "examples.jsonl"
    file.write_text(line)
    got = run("calibrate", parrot_path, file)
    assert got.returncode == 1 and word in got.stderr


@pytest.mark.parametrize("arguments, word", [(["x"], "--question"), (["x", "-q", "y", "--choice", "a,,b"], "empty"), (["x", "-q", "y", "--choice", "a"], "at least 2"),
                                             (["x", "-q", "y", "--choice", "a,b", "--levels", "c,d"], "contradict")])
def test_wrong_arguments(parrot_path, arguments, word):
    got = run("decide", parrot_path, *arguments, stdin=subprocess.DEVNULL)
    assert got.returncode == 2 and word in got.stderr
