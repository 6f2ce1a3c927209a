#!/usr/bin/env python3
"""What decisions of a model are worth on labeled examples, and what they cost.

usage: decisions.py MODEL [--count N] [--seed N]

Makes four tasks from templates with a seed, each with balanced answers: sentiment of a sentence, topic of a sentence, whether a
list holds a word, and urgency on three levels. `smollm calibrate` gives accuracy, log loss and temperature of each. Then asks 100
questions about a state of about 2,000 tokens, beside reading that state alone. SMOLLM names another program.
"""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time
import urllib.request

PROGRAM = os.environ.get("SMOLLM", str(pathlib.Path(__file__).resolve().parents[1] / "build" / "smollm"))
GOOD = "delicious wonderful excellent charming brilliant delightful superb lovely".split()
BAD = "awful dreadful boring broken disgusting terrible horrible disappointing".split()
THINGS = "meal film hotel book concert phone service game".split()
TOPICS = {"sports": ["The striker scored twice in the final.", "She won the marathon in record time.", "The team changed its goalkeeper.",
                     "The referee showed a red card."],
          "cooking": ["Simmer the onions until they are soft.", "Add a pinch of salt to the dough.", "Bake the bread for forty minutes.",
                      "Whisk the eggs with sugar."],
          "astronomy": ["The telescope found a distant galaxy.", "The moon passes in front of the sun.", "A comet will be visible in May.",
                        "The planet has three rings."],
          "finance": ["The bank raised its interest rate.", "Shares fell by four percent.", "The loan must be repaid by June.",
                      "Inflation slowed last quarter."]}
WORDS = "apple chair river candle window tiger pencil garden mirror bottle".split()
URGENCY = {"can wait": ["Whenever you have time, please update my address.", "No hurry: could you send last year's invoice?"],
           "this week": ["Please repair the printer before Friday.", "I need the report by the end of the week."],
           "right now": ["The server room is on fire!", "There is a gas leak, come at once!"]}


def sentiment(draw):
    good = draw.random() < 0.5
    return {"text": f"The {draw.choice(THINGS)} was {draw.choice(GOOD if good else BAD)}.", "question": "Is this a positive review?", "answer": good}


def topic(draw):
    answer = draw.choice(list(TOPICS))
    return {"text": draw.choice(TOPICS[answer]), "question": "What is this text about?", "choices": list(TOPICS), "answer": answer}


def membership(draw):
    listed = draw.sample(WORDS, 4)
    holds = draw.random() < 0.5
    word = draw.choice(listed if holds else [word for word in WORDS if word not in listed])
    return {"text": "The list: " + ", ".join(listed) + ".", "question": f"Does the list contain the word {word}?", "answer": holds}


def urgency(draw):
    answer = draw.choice(list(URGENCY))
    return {"text": draw.choice(URGENCY[answer]), "question": "How urgent is this?", "levels": list(URGENCY), "answer": answer}


def accuracy(model, count, seed):
    print("| task | examples | accuracy | by chance | log loss | at temperature | log loss there |\n|---|---|---|---|---|---|---|")
    for task in (sentiment, topic, membership, urgency):
        draw = random.Random(seed)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(json.dumps(task(draw)) + "\n" for _ in range(count))
            file.flush()
            got = json.loads(subprocess.run([PROGRAM, "calibrate", model, file.name, "--json"], check=True, capture_output=True, text=True).stdout)
        print(f"| {task.__name__} | {got['examples']} | {got['accuracy']:.2f} | {got['chance']:.2f} | {got['log_loss']:.3f} | {got['temperature']:.2f} | {got['log_loss_fitted']:.3f} |")


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    begin = time.monotonic()
    answer = json.load(urllib.request.urlopen(request, timeout=600))
    return time.monotonic() - begin, answer


def cost(model, rounds=3):
    server = subprocess.Popen([PROGRAM, "serve", model, "--port", "0", "-c", "8192"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = re.search(r"http://\S+", server.stdout.readline())[0]
        ratios = []
        for turn in range(rounds):
            state = f"Letter {turn}. " + "The shop sells lamps and a customer writes about many things. " * 150
            reading, one = post(url + "/v1/completions", {"prompt": "Read. " + state, "max_tokens": 0})
            questions = [{"type": "predicate", "instructions": f"Topic {i}?"} for i in range(100)]
            deciding, many = post(url + "/v1/decisions", {"model": "m", "input": state, "questions": questions})
            usage = many["usage"]
            ratios.append(deciding / reading)
            print(f"state of {one['usage']['prompt_tokens']} tokens read in {reading:.2f} s; 100 decisions in {deciding:.2f} s = {ratios[-1]:.2f} times, "
                  f"{usage['input_tokens'] - usage['input_tokens_details']['cached_tokens']} tokens computed")
        print(f"median {sorted(ratios)[len(ratios) // 2]:.2f}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    accuracy(options.model, options.count, options.seed)
    cost(options.model)
