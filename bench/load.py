#!/usr/bin/env python3
"""Users of an OpenAI-compatible server: how long they wait, and how much the server gets done.

usage: load.py URL [--users 8] [--turns 3] [--seed 1] ...           a server that is already running
       load.py --compare LLAMA_CPP MODEL [--users 8] ...            smollm and llama-server on the same file, in turn
       load.py --compare LLAMA_CPP MODEL --decode 1,4,8,16 ...      users that only wait for tokens
       load.py URL --beside 8000, or --compare ... --beside 8000    the time between tokens of streams while a long prompt is read
       ... --write docs/notes                                       writes a dated note there (load, decode or rhythm), and plots

Each user holds a conversation: a system prompt that all share, a question, and follow-ups that send the history back. When
users come, what they ask, how long questions and answers are, who leaves in the middle of an answer (--leavers) and who reads
slowly (--slow) all come from the seed, so that every server gets the same.

Prints the time to the first token (TTFT) of first and of later turns and the time between tokens (median, 90th and 99th
percentile; slow readers not counted), tokens a second of all, answers a second within the targets (goodput: TTFT at most
--ttft seconds, and between tokens at most --between seconds on average), and refusals (429, 503).

--decode: this many users at once, each with a short text to continue (no chat template, as llama-batched-bench has none) and
an answer of --tokens tokens; counted is the time in which all of them have their first token and none its last. Beside it
stands llama-batched-bench, which has no HTTP (the better of -fa on and off). smollm predicts no tokens there (--spec off).

--beside: --users streams, and when each has got --tokens tokens, a prompt of this many words from another user; the streams go on
until each has got as many again after its first token. The time between their tokens alone, before and after, and beside it.

--compare gives each server as many slots as users, measures the limits of the machine before and after each run and drops
rounds in which one of them moved by more than --tolerance. Only figures of one run can be compared.
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

import plot
from measure import SMOLLM, Page, Program, Rounds, llama_program, numbers, shown, spread

WORDS = ("the a of and sea stone light river garden letter winter engine small old bright slowly never often carry open follow "
         "answer question morning paper window number silver forest").split()
SHARES = {"median": 0.5, "p90": 0.9, "p99": 0.99}
DECODE_PROMPT = 8  # words, and of llama-batched-bench tokens
ENDLESS = 16  # times --tokens are the answers of streams beside a prompt, which should not end before it is read


class Answer:
    def __init__(self, turn, wanted, is_slow=False):
        self.turn, self.wanted, self.is_slow = turn, wanted, is_slow
        self.status, self.text = 0, ""
        self.begin = time.monotonic()
        self.times = []  # when text came
        self.tokens = self.cached = self.left = self.prompt = 0

    @property
    def ttft(self):
        return self.times[0] - self.begin

    @property
    def gaps(self):
        return [b - a for a, b in zip(self.times, self.times[1:])]

    def is_good(self, options):
        return (len(self.times) >= self.wanted - 1 and self.ttft <= options.ttft and
                statistics.fmean(self.gaps or [0]) <= options.between)


async def ask(address, messages, answer, leaves_after=None, pause=0.0):
    """One request over its own connection; fills the answer as its tokens come. messages: of a conversation, or a text to go on
    with. pause: seconds that the reader takes for each token."""
    key, path = ("prompt", b"completions") if isinstance(messages, str) else ("messages", b"chat/completions")
    body = json.dumps({"model": "any", key: messages, "stream": True, "temperature": 0, "max_tokens": answer.wanted,
                       "stream_options": {"include_usage": True}, "ignore_eos": True}).encode()
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=8192 if pause else 1 << 16)
    with contextlib.closing(writer):
        writer.write(b"POST /v1/%s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                     b"Connection: close\r\n\r\n" % (path, address.hostname.encode(), address.port, len(body)) + body)
        answer.status = int((await reader.readline()).split()[1])
        while line := await reader.readline():
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if usage := event.get("usage"):
                answer.tokens, answer.prompt = usage["completion_tokens"], usage["prompt_tokens"]
                answer.cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            for choice in event.get("choices", []):
                delta = choice.get("delta", {})
                if text := delta.get("content") or delta.get("reasoning_content") or choice.get("text"):
                    answer.times.append(time.monotonic())
                    answer.text += text
            if leaves_after and len(answer.times) >= leaves_after:
                answer.left = 1
                return
            await asyncio.sleep(pause)


async def try_to_ask(address, messages, answer, options, **more):
    """False where there was no answer, or it was left."""
    try:
        await asyncio.wait_for(ask(address, messages, answer, **more), options.timeout)
    except (OSError, asyncio.TimeoutError, IndexError, ValueError, KeyError):
        answer.status = -1 if answer.status in (0, 200) else answer.status
        answer.times = []
    answer.tokens = answer.tokens or len(answer.times)
    return bool(answer.times) and not answer.left


def sentence(random_, words):
    return " ".join(random_.choice(WORDS) for _ in range(words))


def drawn(random_, middle, options):
    """A length around its middle, by --spread of it to both sides."""
    return max(1, round(middle * random_.uniform(1 - options.spread, 1 + options.spread)))


async def user(number, comes_after, address, options, answers):
    random_ = random.Random(options.seed * 1000 + number)
    messages = [{"role": "system", "content": sentence(random.Random(options.seed), options.system)}]
    is_slow = random_.random() < options.slow
    await asyncio.sleep(comes_after)
    for turn in range(options.turns):
        messages.append({"role": "user", "content": sentence(random_, drawn(random_, options.question, options))})
        answer = Answer(turn, drawn(random_, options.tokens, options), is_slow)
        leaves = random_.randint(1, answer.wanted) if random_.random() < options.leavers else None
        thinks = random_.uniform(0.5, 1.5) * options.think
        answers.append(answer)
        if not await try_to_ask(address, messages, answer, options, leaves_after=leaves,
                                pause=options.pause if is_slow else 0.0):
            return
        messages.append({"role": "assistant", "content": answer.text})
        await asyncio.sleep(thinks)


async def storm(url, options):
    """All conversations; users come by chance, one after the other."""
    answers, begin, comes_after = [], time.monotonic(), 0.0
    address, random_ = urllib.parse.urlparse(url), random.Random(options.seed)
    users = []
    for number in range(options.users):
        users.append(user(number, comes_after, address, options, answers))
        comes_after += random_.expovariate(1 / options.arrival) if options.arrival else 0.0
    await asyncio.gather(*users)
    return answers, time.monotonic() - begin


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def figures_of(answers, seconds, options):
    done = [a for a in answers if a.times]
    waiting = [a for a in done if not a.is_slow]
    waits = {"first token": [a.ttft for a in waiting if a.turn == 0],
             "first token, later turns": [a.ttft for a in waiting if a.turn > 0],
             "between tokens": [gap for a in waiting for gap in a.gaps]}
    figures = {(what, name): 1000 * percentile(values, share) for what, values in waits.items() for name, share in SHARES.items()}
    good = sum(a.is_good(options) for a in waiting)
    return figures | {"tokens/s": sum(a.tokens for a in done) / seconds, "goodput": good / seconds, "good": good,
                      "answers": len(done), "seconds": seconds, "cached": sum(a.cached for a in done),
                      "left": sum(a.left for a in answers), "refused": sum(a.status in (429, 503) for a in answers),
                      "failed": sum(a.status not in (200, 429, 503) or (a.status == 200 and not a.times) for a in answers)}


def tell(name, f):
    print(f"{name}: {f['answers']} answers in {f['seconds']:.1f} s, {f['good']} within the targets")
    for what in dict.fromkeys(key[0] for key in f if isinstance(key, tuple)):
        print(f"  {what:25}" + "   ".join(f"{share} {f[what, share]:9.1f} ms" for share in SHARES))
    print(f"  tokens/s {f['tokens/s']:.1f}   goodput {f['goodput']:.3f} answers/s   refused {f['refused']}   left {f['left']}   "
          f"failed {f['failed']}   cached {f['cached']} tokens", flush=True)


# ---- Servers ----

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


class Served(Program):
    """A server's command without its port; what `play` (url -> {key: figure}) finds while it runs."""

    def __init__(self, name, command, play):
        super().__init__(name, command, None)
        self.play = play

    def run(self):
        port = free_port()
        with serving([*self.command, "--port", port], port) as url:
            return self.play(url)


def servers(options, users, context, play, *ours):
    folder, model = options.compare
    model, threads = pathlib.Path(model), options.threads
    return [Served("smollm", [SMOLLM, "serve", model, "-np", users, "-c", context, "-t", threads, "--precise", "off", *ours],
                   play),
            Served("llama-server", [llama_program(folder, "llama-server"), "-m", model, "-np", users, "-c", context * users,
                                    "-t", threads, "-tb", threads, "--no-webui"], play)]


def notes(page, rounds, programs):
    page.add(rounds.sentence(), "", *(f"    {shown(p.command)}" for p in programs), "")


# ---- Conversations ----

def compare(options):
    def play(url):
        figures = figures_of(*asyncio.run(storm(url, options)), options)
        tell(url, figures)
        return figures

    programs = servers(options, options.users, options.context, play)
    rounds = Rounds(programs, options.rounds, options.threads, options.tolerance)
    page = Page(options.write, "load", "Conversations through HTTP, compared with llama-server",
                "How long do chat users wait, compared with llama-server?")
    ours, theirs = ({key: spread(values) for key, values in rounds.figures[p.name].items()} for p in programs)
    page.add(f"{pathlib.Path(options.compare[1]).stem}, {options.users} users of {options.turns} questions each, a shared system "
             f"prompt of {options.system} words, answers of about {options.tokens} tokens, {options.threads} threads. Medians of "
             "rounds.", "")
    rows = []
    for key in ours:
        is_wait = isinstance(key, tuple)
        if not is_wait and key not in ("tokens/s", "goodput", "refused", "failed"):
            continue
        a, b = ours[key][0], theirs[key][0]
        better, worse = (b, a) if is_wait else (a, b)
        rows.append([", ".join(key) + ", ms" if is_wait else {"goodput": "answers/s within the targets"}.get(key, key),
                     f"{a:.2f}", f"{b:.2f}", f"{better / worse:.2f}" if worse and key not in ("refused", "failed") else ""])
    page.table(["", "smollm", "llama-server", "times better"], rows)
    waits = [key for key in ours if isinstance(key, tuple) and key[0].startswith("first") and key[1] != "p90" and
             ours[key][0] == ours[key][0]]
    page.figure(plot.bars, "load-first-token", "Wait for the first token", "turn", "milliseconds",
                [(", ".join(key), [ours[key], theirs[key]]) for key in waits], [p.name for p in programs])
    notes(page, rounds, programs)
    page.save()


# ---- Tokens alone ----

async def decode(url, users, options):
    """Tokens a second of all users while all of them get some."""
    address = urllib.parse.urlparse(url)
    answers = [Answer(0, options.tokens) for _ in range(users)]
    asked = [sentence(random.Random(options.seed * 1000 + i), DECODE_PROMPT) for i in range(users)]
    if not all(await asyncio.gather(*(try_to_ask(address, m, a, options) for m, a in zip(asked, answers)))):
        raise SystemExit(f"{url}: not all of {users} users got their answer: {[a.status for a in answers]}")
    first, last = max(a.times[0] for a in answers), min(a.times[-1] for a in answers)
    if first >= last:
        raise SystemExit(f"{url}: the {users} users were not answered together: take more --tokens")
    # An event may bring several tokens, or a token none.
    return sum(sum(first < t <= last for t in a.times) * a.tokens / len(a.times) for a in answers) / (last - first)


def read_batched_bench(text):
    return {x["pl"]: x["speed_tg"] for x in map(json.loads, (line for line in text.splitlines() if line.startswith("{")))}


class DecodeServers(Program):
    """One server after the other, each for its number of users."""

    def __init__(self, name, served):
        super().__init__(name, served[-1].command, None)
        self.served = served

    def run(self):
        return {users: figure for each in self.served for users, figure in each.run().items()}


def compare_decode(options):
    folder, model = options.compare
    context = DECODE_PROMPT * 4 + options.tokens

    def play(users):
        return lambda url: {users: asyncio.run(decode(url, users, options))}

    pairs = [servers(options, users, context, play(users), "--spec", "off") for users in options.decode]
    programs = [DecodeServers(served[0].name, list(served)) for served in zip(*pairs)]
    batched = [Program(f"llama-batched-bench -fa {flash}",
                       [llama_program(folder, "llama-batched-bench"), "-m", pathlib.Path(model), "-t", options.threads, "-tb",
                        options.threads, "-fa", flash, "-c", context * max(options.decode), "-npp", DECODE_PROMPT, "-ntg",
                        options.tokens, "-npl", ",".join(map(str, options.decode)), "--output-format", "jsonl"],
                       read_batched_bench) for flash in ("off", "on")]
    rounds = Rounds(programs + batched, options.rounds, options.threads, options.tolerance)
    page = Page(options.write, "decode", "Tokens through HTTP, compared with llama.cpp",
                "How many tokens a second reach users through HTTP?")
    page.add(f"{pathlib.Path(model).stem}: tokens a second of all users through HTTP, answers of {options.tokens} tokens to short "
             f"prompts, {options.threads} threads; compared with llama-server, and with llama-batched-bench, which has no HTTP.", "")
    rows, series = [], {name: [] for name in ("smollm", "llama-server", "llama-batched-bench")}
    for users in options.decode:
        found = {p.name: spread(rounds.figures[p.name][users]) for p in programs}
        found["llama-batched-bench"] = max(spread(rounds.figures[p.name][users]) for p in batched)
        for name in series:
            series[name].append((users, *found[name]))
        rows.append([str(users)] + [f"{found[name][0]:.1f}" for name in series] +
                    [f"{found['smollm'][0] / found[name][0]:.2f}" for name in list(series)[1:]])
    page.table(["users", *series, "times llama-server", "times llama-batched-bench"], rows)
    page.figure(plot.lines, f"decode-{pathlib.Path(model).stem}", "Users that wait for tokens", "users",
                "tokens a second, all together", list(series.items()))
    notes(page, rounds, programs + batched)
    page.save()


# ---- Rhythm ----

async def rhythm(url, options):
    """Streams alone, then beside a prompt that is read: milliseconds between their tokens."""
    address = urllib.parse.urlparse(url)
    answers = [Answer(0, options.tokens * ENDLESS) for _ in range(options.users)]
    streams = [asyncio.create_task(try_to_ask(address, sentence(random.Random(options.seed * 1000 + i), DECODE_PROMPT), a, options))
               for i, a in enumerate(answers)]

    async def all_go_on():
        wanted = [len(a.times) + options.tokens for a in answers]
        while not any(s.done() for s in streams) and any(len(a.times) < w for a, w in zip(answers, wanted)):
            await asyncio.sleep(0.05)

    await all_go_on()
    joined, reader = max(a.times[0] for a in answers if a.times), Answer(0, 1)
    was_read = await try_to_ask(address, sentence(random.Random(options.seed), options.beside), reader, options)
    if was_read:
        await all_go_on()
    over = [s.done() for s in streams]
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    if not was_read or any(over):
        raise SystemExit(f"{url}: the prompt was not read (status {reader.status}), or {sum(over)} of {options.users} streams were over "
                         "before: more --tokens?")
    began, read = reader.begin, reader.times[0]
    gaps = [(a, b) for x in answers for a, b in zip(x.times, x.times[1:]) if a > joined]
    found = {"alone": [b - a for a, b in gaps if b < began or a > read], "beside": [b - a for a, b in gaps if began < a and b < read]}
    figures = {(what, name): 1000 * percentile(found[what], share) for what in found for name, share in SHARES.items()}
    return figures | {"prompt tokens": reader.prompt, "first token of the prompt, ms": 1000 * reader.ttft} | {
        ("times", name): figures["beside", name] / figures["alone", name] for name in SHARES}


def rhythm_rows(found):
    yield ["prompt read in, s"] + [f"{f['first token of the prompt, ms'][0] / 1000:.1f}" for f in found]
    for name in SHARES:
        for what in ("alone", "beside"):
            yield [f"between tokens, {what}, {name}, ms"] + [f"{f[what, name][0]:.1f}" for f in found]
        yield [f"times, {name}"] + [f"{f['times', name][0]:.2f}" for f in found]


def compare_rhythm(options):
    context = max(options.beside * 5 // 4, options.tokens * ENDLESS) + DECODE_PROMPT * 4

    def play(url):
        return asyncio.run(rhythm(url, options))

    programs = servers(options, options.users + 1, context, play, "--spec", "off")
    rounds = Rounds(programs, options.rounds, options.threads, options.tolerance)
    found = [{key: spread(values) for key, values in rounds.figures[p.name].items()} for p in programs]
    page = Page(options.write, "rhythm", "Streams while a long prompt is read, through HTTP",
                "How much does a long prompt disturb the streams that are already being answered?")
    page.add(f"{pathlib.Path(options.compare[1]).stem}: {options.users} streams of short prompts; when each has "
             f"{options.tokens} tokens, another user sends a prompt of {found[0]['prompt tokens'][0]} tokens; {options.threads} "
             "threads. Medians of rounds.", "")
    page.table(["", *(p.name for p in programs)], rhythm_rows(found))
    notes(page, rounds, programs)
    page.save()


def tell_rhythm(options):
    figures = {key: spread([value]) for key, value in asyncio.run(rhythm(options.url, options)).items()}
    print(f"{options.users} streams beside a prompt of {figures['prompt tokens'][0]} tokens")
    for what, figure in rhythm_rows([figures]):
        print(f"  {what:40} {figure:>8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", metavar="URL")
    parser.add_argument("--compare", nargs=2, metavar=("LLAMA_CPP", "MODEL"))
    parser.add_argument("--decode", metavar="N,...", type=numbers, help="users that only wait for tokens (with --compare)")
    parser.add_argument("--beside", metavar="N", type=int, help="words of a prompt that is read beside streams")
    parser.add_argument("--write", metavar="DIR", help="write Markdown and plots there (with --compare)")
    for name, standard, text in (("users", 8, "conversations at once"), ("turns", 3, "questions of each"), ("seed", 1, ""),
                                 ("question", 24, "words of a question"), ("tokens", 48, "of an answer"),
                                 ("system", 450, "words of the shared system prompt"),
                                 ("context", 2048, "positions for each user"), ("threads", 2, "of both servers"),
                                 ("rounds", 1, "of --compare"), ("timeout", 600, "seconds for an answer")):
        parser.add_argument(f"--{name}", metavar="N", type=int, default=standard, help=f"{text} [{standard}]")
    for name, standard, text in (("arrival", 0.1, "mean seconds between the arrivals of users"),
                                 ("think", 1.0, "seconds between turns"),
                                 ("spread", 0.5, "of the lengths of questions and answers, as a share"),
                                 ("leavers", 0.0, "share of answers that are left"),
                                 ("slow", 0.0, "share of users who read slowly"),
                                 ("pause", 0.2, "seconds that a slow reader takes for a token"),
                                 ("ttft", 5.0, "target, seconds"), ("between", 0.5, "target, seconds"),
                                 ("tolerance", 0.1, "share by which a limit may move in a round")):
        parser.add_argument(f"--{name}", metavar="X", type=float, default=standard, help=f"{text} [{standard}]")
    options = parser.parse_args()
    if options.compare:
        (compare_decode if options.decode else compare_rhythm if options.beside else compare)(options)
    elif options.url and options.beside:
        tell_rhythm(options)
    elif options.url:
        tell(options.url, figures_of(*asyncio.run(storm(options.url, options)), options))
    else:
        parser.error("a URL or --compare is needed")


if __name__ == "__main__":
    main()
