#!/usr/bin/env python3
"""Chat users with an OpenAI-compatible server: what they wait for, and how much the server gets done.

usage: load.py URL [--users 8] [--turns 3] [--seed 1] ...        a server that runs already
       load.py --compare LLAMA_CPP MODEL [--users 8] ...         smollm and llama-server on the same file, by turns

Each user holds a conversation: a system prompt that all share, a question, and follow-ups that send the history back. Arrival,
lengths and words come from the seed, so that every server gets the same. Some users leave in the middle of an answer (--leavers).

Prints the time to the first token (TTFT) of first and of later turns and the time between tokens (medians and 99th percentiles),
tokens a second of all, answers a second within the targets (goodput: TTFT at most --ttft seconds, and between tokens at most
--between seconds on average), and refusals (429, 503). Only figures of one run can be compared.
"""
import argparse
import asyncio
import contextlib
import json
import pathlib
import random
import socket
import statistics
import subprocess
import time
import urllib.parse
import urllib.request

SMOLLM = pathlib.Path(__file__).resolve().parents[1] / "build" / "smollm"
WORDS = ("the a of and sea stone light river garden letter winter engine small old bright slowly never often carry open follow "
         "answer question morning paper window number silver forest").split()


class Answer:
    def __init__(self, turn):
        self.turn, self.status, self.text = turn, 0, ""
        self.begin = time.monotonic()
        self.times = []  # when tokens came
        self.cached = self.left = 0

    @property
    def ttft(self):
        return self.times[0] - self.begin

    @property
    def gaps(self):
        return [b - a for a, b in zip(self.times, self.times[1:])]


async def ask(address, messages, options, answer, leaves_after=None):
    """One request over its own connection; fills the answer as its tokens come."""
    body = json.dumps({"model": "any", "messages": messages, "stream": True, "temperature": 0, "max_tokens": options.tokens,
                       "stream_options": {"include_usage": True}, "ignore_eos": True}).encode()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    with contextlib.closing(writer):
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (address.hostname.encode(), address.port, len(body)) +
                     body)
        answer.status = int((await reader.readline()).split()[1])
        while line := await reader.readline():
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if usage := event.get("usage"):
                answer.cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            for choice in event.get("choices", []):
                delta = choice.get("delta", {})
                if text := delta.get("content") or delta.get("reasoning_content"):
                    answer.times.append(time.monotonic())
                    answer.text += text
            if leaves_after and len(answer.times) >= leaves_after:
                answer.left = 1
                return


def sentence(random_, words):
    return " ".join(random_.choice(WORDS) for _ in range(words))


async def user(number, address, options, answers):
    random_ = random.Random(options.seed * 1000 + number)
    shared = random.Random(options.seed)
    messages = [{"role": "system", "content": sentence(shared, options.system)}]
    await asyncio.sleep(random_.expovariate(1 / options.arrival) if options.arrival else 0)
    for turn in range(options.turns):
        messages.append({"role": "user", "content": sentence(random_, random_.randint(8, 40))})
        leaves = random_.randint(1, options.tokens) if random_.random() < options.leavers else None
        answer = Answer(turn)
        answers.append(answer)
        try:
            await asyncio.wait_for(ask(address, messages, options, answer, leaves), options.timeout)
        except (OSError, asyncio.TimeoutError, IndexError, ValueError):
            answer.status = answer.status or -1
            answer.times = []
        if answer.left or not answer.times:
            return
        messages.append({"role": "assistant", "content": answer.text})
        await asyncio.sleep(random_.uniform(0.5, 1.5) * options.think)


async def storm(url, options):
    answers, begin = [], time.monotonic()
    address = urllib.parse.urlparse(url)
    await asyncio.gather(*(user(i, address, options, answers) for i in range(options.users)))
    return answers, time.monotonic() - begin


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def is_good(answer, options):
    return (len(answer.times) >= options.tokens - 1 and answer.ttft <= options.ttft and
            statistics.fmean(answer.gaps or [0]) <= options.between)


def report(name, answers, seconds, options):
    done = [a for a in answers if a.times]
    first, later = ([a.ttft for a in done if (a.turn == 0) == wanted] for wanted in (True, False))
    gaps = [gap for a in done for gap in a.gaps]
    good = sum(is_good(a, options) for a in done)
    figures = {
        "ttft first": (percentile(first, 0.5), percentile(first, 0.99)),
        "ttft later": (percentile(later, 0.5), percentile(later, 0.99)),
        "between": (percentile(gaps, 0.5), percentile(gaps, 0.99)),
        "tokens/s": sum(len(a.times) for a in done) / seconds,
        "goodput": good / seconds,
        "refused": sum(a.status in (429, 503) for a in answers),
        "failed": sum(a.status not in (200, 429, 503) or (a.status == 200 and not a.times) for a in answers),
    }
    print(f"{name}: {len(done)} answers in {seconds:.1f} s, {good} within the targets")
    for key in ("ttft first", "ttft later", "between"):
        print(f"  {key:11} median {figures[key][0] * 1000:9.1f} ms   p99 {figures[key][1] * 1000:9.1f} ms")
    print(f"  tokens/s {figures['tokens/s']:.1f}   goodput {figures['goodput']:.3f} answers/s   refused {figures['refused']}   "
          f"failed {figures['failed']}   cached {sum(a.cached for a in done)} tokens", flush=True)
    return figures


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def serving(command, port):
    """Starts a server and waits until it answers; ends it."""
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(url + "/health", timeout=1).close()
                    break
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended with {process.returncode}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def commands(options, port):
    context, threads = options.context, options.threads
    llama = next((p for p in pathlib.Path(options.compare[0]).rglob("llama-server") if p.is_file()), None)
    if not llama:
        raise SystemExit(f"{options.compare[0]} holds no llama-server: build it with bench/llamacpp_build.sh")
    model = options.compare[1]
    return {
        "smollm": [SMOLLM, "serve", model, "--port", port, "-np", options.users, "-c", context, "-t", threads, "--precise", "off"],
        "llama-server": [llama, "-m", model, "--port", port, "-np", options.users, "-c", context * options.users, "-t", threads,
                         "-tb", threads, "--no-webui"],
    }


def compare(options):
    figures = {}
    for _ in range(options.rounds):
        for name in ("smollm", "llama-server"):
            port = free_port()
            command = commands(options, port)[name]
            with serving(command, port) as url:
                answers, seconds = asyncio.run(storm(url, options))
            figures.setdefault(name, []).append(report(name, answers, seconds, options))
    ours, theirs = (figures[name] for name in ("smollm", "llama-server"))
    for key in ("tokens/s", "goodput"):
        a, b = (statistics.median(f[key] for f in who) for who in (ours, theirs))
        print(f"{key}: {a:.3f} and {b:.3f}, ratio {a / b:.2f}" if b else f"{key}: {a:.3f} and {b:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", metavar="URL")
    parser.add_argument("--compare", nargs=2, metavar=("LLAMA_CPP", "MODEL"))
    for name, standard, text in (("users", 8, "conversations at once"), ("turns", 3, "questions of each"), ("seed", 1, ""),
                                 ("tokens", 48, "of each answer"), ("system", 450, "words of the shared system prompt"),
                                 ("context", 2048, "positions for each user"), ("threads", 2, "of both servers"),
                                 ("rounds", 1, "of --compare"), ("timeout", 600, "seconds for an answer")):
        parser.add_argument(f"--{name}", metavar="N", type=int, default=standard, help=f"{text} [{standard}]")
    for name, standard, text in (("arrival", 0.5, "mean seconds before a user begins"), ("think", 1.0, "seconds between turns"),
                                 ("leavers", 0.0, "share of answers that are left"), ("ttft", 5.0, "target, seconds"),
                                 ("between", 0.5, "target, seconds")):
        parser.add_argument(f"--{name}", metavar="X", type=float, default=standard, help=f"{text} [{standard}]")
    options = parser.parse_args()
    if options.compare:
        compare(options)
    elif options.url:
        report(options.url, *asyncio.run(storm(options.url, options)), options)
    else:
        parser.error("a URL or --compare is needed")


if __name__ == "__main__":
    main()
