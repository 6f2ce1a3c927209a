#!/usr/bin/env python3
"""Storms: many clients at once that disconnect, read slowly, overload the server or meet a shutdown, and what that leaves behind.

usage: storms.py [--quick] [--only NAME]... [--seed 1]

    leavers     clients disconnect at random points, from connecting to the middle of a stream: nothing is left behind
    vanishing   the same in every protocol, a thousand clients each (five minutes more)
    slow        readers of one byte a second beside fast ones: a step of the engine takes no longer
    overload    ten times what can be answered: throughput stays the same, and the rest is refused at once
    shutdown    SIGTERM in the middle of streams: each of them finishes or receives an error event
    fairness    a key with fifty open requests beside a key with one: the one waits little longer

In full they take about ten minutes; leavers, overload and fairness use the small real model, which SMOLLM_TEST_MODEL names or
scripts/fetch-model.sh fetches. --quick plays them small with a model that repeats words endlessly: what is left behind is
checked as always, but times are only printed. The server is build/smollm, or what SMOLLM names. Every storm prints what it
measured, and a line for each thing that is wrong. Needs the packages of tests/requirements.txt.
"""
import argparse
import asyncio
import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "server"), str(ROOT / "tests" / "models")]

from make_model import make_model  # noqa: E402
from parrot_model import make_parrot  # noqa: E402
from server_process import PROGRAM, SLOWNESS, Server, post, read_all, status_of  # noqa: E402

WORDS = "sea stone light river garden letter winter engine small old bright slowly never often carry open follow".split()
HEADROOM = 256 << 20  # bytes beside weights, keys and values
HALF_GROUP = 256      # positions: what a sequence's keys and values are rounded up to
CROWD = 64            # clients at a time
TOKEN = re.compile(rb'"(?:delta":\{"(?:reasoning_)?content|text)":"[^"]')


class Trouble(AssertionError):
    """What a storm found."""


def expect(truth, message):
    if not truth:
        raise Trouble(message)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def number_in(path, pattern):
    return int(re.search(pattern, pathlib.Path(path).read_text())[1])


class Watched(Server):
    """A server whose memory, descriptors and processor time are looked at."""

    def __init__(self, place, *arguments, context=2048, parallel=4, threads=1):
        super().__init__(place.folder, place.model, "--metrics", "--log-format", "json", "--temp", "0", "--precise", "off",
                         "-c", context, "-np", parallel, "-t", threads, *arguments)
        text = subprocess.run([PROGRAM, "inspect", str(place.model), "--json", "-c", str(context)], check=True,
                              capture_output=True, text=True).stdout
        memory = json.loads(text)["memory"]
        self.weights, self.position = memory["weights"], memory["kv_bytes_per_token"]
        self.kv_bytes = context * parallel * self.position

    def metrics(self, headers=None):
        text = self.http.get("/metrics", headers=headers).text
        return {name: float(value) for name, value in re.findall(r"^smollm_(\w+) (\S+)$", text, re.M)}

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        """Bytes held now."""
        return 1024 * number_in(f"/proc/{self.process.pid}/status", r"VmRSS:\s+(\d+)")

    def check_memory(self, headers=None):
        """No more than the weights, the keys and values that have been written at all, in halves of a group of pages, and
        HEADROOM; returns what is beside the first two at least."""
        m = self.metrics(headers)
        positions = (m["prompt_tokens_total"] - m["cached_tokens_total"] + m["generated_tokens_total"] +
                     HALF_GROUP * (m["requests_finished_total"] + m["requests_running"]))
        known = self.weights + min(self.kv_bytes, positions * self.position)
        held = self.memory()
        # Sanitizers hold much more, and slowly give back.
        expect(SLOWNESS > 1 or held <= known + HEADROOM,
               f"{held >> 20} MiB are held, of which {int(known) >> 20} MiB are weights, keys and values")
        return max(0, held - known)

    def engine_seconds(self):
        """Processor time of the thread that has used most."""
        return 1e-9 * max(int(path.read_text().split()[0])
                          for path in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"))

    def log_entries(self):
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def warm_up(self):
        """Descriptors held when nobody is there but the one who looks."""
        self.metrics()
        descriptors = self.descriptors()
        self.check_empty(descriptors)
        return descriptors

    def check_empty(self, descriptors, seconds=10):
        """All is as it was before anybody came, and the next one is served at once."""
        end = time.monotonic() + seconds * SLOWNESS
        while True:
            m, now = self.metrics(), self.descriptors()
            left = {"slots": sum(slot["is_processing"] for slot in self.slots()), "running": m["requests_running"],
                    "waiting": m["requests_waiting"], "pages": m["kv_pages_used"], "descriptors": now - descriptors}
            if not any(left.values()):
                break
            expect(time.monotonic() < end, "left behind: " + ", ".join(f"{int(n)} {what}" for what, n in left.items() if n))
            time.sleep(0.05)
        begin = time.monotonic()
        answer = self.http.post("/completion", json={"prompt": "a", "n_predict": 1})
        seconds = time.monotonic() - begin
        expect(answer.status_code == 200 and seconds < 1 * SLOWNESS,
               f"the next client got {answer.status_code} after {seconds:.2f} s")
        return seconds


@dataclasses.dataclass
class Place:
    """Where storms take place, and how large they are."""
    folder: pathlib.Path
    model: pathlib.Path
    quick: bool
    seed: int

    def size(self, full, quick):
        return quick if self.quick else full

    def expect(self, truth, message):
        """What depends on the time that the machine gives is only told by a quick storm."""
        if self.quick and not truth:
            print("    (" + message + ")")
        else:
            expect(truth, message)


def say(text):
    print("    " + text, flush=True)


def sentence(random_, words):
    return " ".join(random_.choice(WORDS) for _ in range(words))


def question(random_, words, tokens, is_chat=False, key=None, **more):
    """The bytes of a request for a stream of so many tokens."""
    text = sentence(random_, words)
    body = {"max_tokens": tokens, "stream": True, "ignore_eos": True, **more}
    body |= {"messages": [{"role": "user", "content": text}]} if is_chat else {"prompt": text}
    return post("/v1/chat/completions" if is_chat else "/v1/completions", json.dumps(body), "Connection: close",
                *([f"Authorization: Bearer {key}"] if key else []))


class Answer:
    """What came to one request, read to its end."""

    def __init__(self):
        self.begin, self.first, self.data = time.monotonic(), None, b""

    async def read(self, server, request):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        with contextlib.closing(writer):
            writer.write(request)
            while piece := await reader.read(1 << 16):
                self.data += piece
                if not self.first and TOKEN.search(self.data):
                    self.first = time.monotonic()
        self.end = time.monotonic()
        return self

    @property
    def status(self):
        return status_of(self.data)

    @property
    def is_whole(self):
        return self.status == 200 and b"data: [DONE]" in self.data and self.data.endswith(b"0\r\n\r\n")

    def check_refusal(self):
        """Anything but a whole answer must be a refusal that says when to come again."""
        expect(self.is_whole or (self.status in (429, 503) and re.search(rb"\r\nRetry-After: [1-9]", self.data)),
               f"neither an answer nor a refusal with Retry-After: {self.data[:600]}")


async def in_crowd(tasks, most=CROWD):
    """Runs coroutines, at most so many at a time."""
    gate = asyncio.Semaphore(most)

    async def one(task):
        async with gate:
            return await task

    return await asyncio.gather(*(one(task) for task in tasks))


async def among(task, workers):
    """What the task returns; where it or a worker fails, that is raised at once. Workers end by themselves after the task."""
    return (await asyncio.gather(task, *workers))[0]


async def until(task, seconds, what):
    try:
        return await asyncio.wait_for(task, seconds * SLOWNESS)
    except asyncio.TimeoutError:
        raise Trouble(f"{what} took more than {seconds * SLOWNESS} s") from None


# ---- Leavers ----

STAGES = {"connecting": 2, "head": 3, "body": 3, "queue": 4, "prompt": 3, "stream": 4, "staying": 2}


async def leave(server, random_, stage, tally, long_words):
    """A client that goes at a random point of a stage; `prompt` and `stream` see that they have reached theirs."""
    long = stage == "prompt" or random_.random() < 0.1
    request = question(random_, random_.randint(*long_words) if long else 20, random_.randint(8, 64),
                       is_chat=random_.random() < 0.2, return_progress=stage == "prompt")
    if stage == "staying":
        answer = await Answer().read(server, request)
        answer.check_refusal()
        tally["answered" if answer.is_whole else "refused"] += 1
        return
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        head = request.index(b"\r\n\r\n") + 4
        cut = {"connecting": 0, "head": random_.randrange(1, head), "body": random_.randrange(head, len(request))}
        writer.write(request[:cut.get(stage, len(request))])
        if stage in ("queue", "head", "body"):
            await asyncio.sleep(random_.random() * 0.1)
        if stage in ("prompt", "stream"):
            status = int((await reader.readline()).split()[1])
            expect(status in (200, 429), f"a client got {status}")
            if status == 429:
                tally["refused"] += 1
                return
            if stage == "prompt":
                await reaches(reader, rb'"prompt_progress"')
            # A prompt that is read in one pass is told of once.
            for _ in range(random_.randint(1, 6) if stage == "stream" else random_.randint(0, 1)):
                await reaches(reader, TOKEN.pattern if stage == "stream" else rb'"prompt_progress"|' + TOKEN.pattern)
            tally[stage] += 1
        tally["left"] += 1
    except ConnectionError:
        tally["refused"] += 1
    finally:
        if random_.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


async def reaches(reader, pattern):
    """Reads until a line with the pattern."""
    while line := await reader.readline():
        if re.search(pattern, line):
            return
    raise Trouble(f"an answer ended without {pattern}")


def leavers(place):
    count = place.size(1000, 60)
    random_ = random.Random(place.seed)
    with running(Watched(place, context=place.size(2048, 4096), threads=2)) as server:
        descriptors, tally, held = server.warm_up(), collections.Counter(), []
        begin = time.monotonic()
        for _ in range(2):
            stages = random_.choices(list(STAGES), STAGES.values(), k=count // 2)
            clients = [leave(server, random.Random(random_.random()), stage, tally, place.size((500, 1000), (150, 300)))
                       for stage in stages]
            asyncio.run(until(in_crowd(clients), 300, "the crowd"))
            seconds = server.check_empty(descriptors)
            held.append(server.memory())
        beside = server.check_memory()
    say(f"{count} clients in {time.monotonic() - begin:.1f} s: {tally['left']} left ({tally['prompt']} while their prompt was "
        f"read, {tally['stream']} in a stream), {tally['answered']} stayed for their answer, {tally['refused']} were refused")
    say(f"left behind: nothing; next client served after {1000 * seconds:.0f} ms; {beside / 2**20:.0f} MiB held beside weights, "
        f"keys and values; {(held[1] - held[0]) / 2**20:+.1f} MiB in the second half")
    expect(min(tally["prompt"], tally["stream"], tally["answered"]) > 0, f"this was no storm: {dict(tally)}")
    expect(SLOWNESS > 1 or held[1] - held[0] < (32 << 20), "the second half of the clients left memory behind")


# ---- Leavers of every protocol ----

def protocols(text):
    """Path and body of a long stream in each protocol."""
    messages, many = [{"role": "user", "content": text}], 5000
    return {"chat": ("/v1/chat/completions", {"messages": messages, "max_tokens": many, "stream": True}),
            "completions": ("/v1/completions", {"prompt": text, "max_tokens": many, "stream": True}),
            "native": ("/completion", {"prompt": text, "n_predict": many, "stream": True}),
            "responses": ("/v1/responses", {"model": "m", "input": text, "max_output_tokens": many, "stream": True}),
            "anthropic": ("/v1/messages", {"model": "m", "messages": messages, "max_tokens": many, "stream": True}),
            "ollama-chat": ("/api/chat", {"model": "m", "messages": messages, "options": {"num_predict": many}}),
            "ollama-generate": ("/api/generate", {"model": "m", "prompt": text, "options": {"num_predict": many}}),
            "whole": ("/v1/messages", {"model": "m", "messages": messages, "max_tokens": many}),
            "embeddings": ("/v1/embeddings", {"input": [text] * 20}),
            "decisions": ("/v1/systemone", {"state": text, "questions": {"q": {"type": "noul", "instructions": "Is it true?"}}})}


async def vanish(server, random_, request, tally):
    """A client that goes while it sends, while it waits, or somewhere in its answer."""
    way = random_.choice(["sending", "waiting", "reading", "reading"])
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(request[:random_.randrange(len(request)) if way == "sending" else len(request)])
        if way == "waiting":
            await asyncio.sleep(random_.random() * 0.05)
        wanted = random_.randrange(1, 20000) if way == "reading" else 0
        while wanted > 0 and (data := await reader.read(wanted)):
            wanted -= len(data)
        tally[way] += 1
    except ConnectionError:
        tally["refused"] += 1
    finally:
        if random_.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


def vanishing(place):
    count = place.size(1000, 40)
    with running(Watched(place, context=8192, parallel=8, threads=2)) as server:
        descriptors, growth = server.warm_up(), {}
        for name, (path, body) in protocols(sentence(random.Random(0), 20)).items():
            random_, tally, held = random.Random(f"{place.seed}-{name}"), collections.Counter(), []
            request = post(path, json.dumps(body), "Connection: close")
            for _ in range(2):
                asyncio.run(until(in_crowd([vanish(server, random.Random(random_.random()), request, tally) for _ in range(count // 2)]),
                                  300, f"the crowd of {name}"))
                server.check_empty(descriptors)
                held.append(server.memory())
            growth[name] = held[1] - held[0]
            expect(min(tally[way] for way in ("sending", "waiting", "reading")) > 0, f"{name}: no client got far: {dict(tally)}")
        server.check_memory()
    say(f"{count} clients of each of {len(growth)} kinds of request left; the second half of them changed memory by "
        + ", ".join(f"{name} {bytes_ / 2**20:+.1f}" for name, bytes_ in growth.items()) + " MiB")
    expect(SLOWNESS > 1 or max(growth.values()) < (8 << 20), "vanished clients left memory behind")


# ---- Slow readers ----

class SlowReaders:
    """Connections with small buffers from each of which a byte is taken now and then."""

    def __init__(self, server, random_):
        self.server, self.random, self.sockets, self.taken = server, random_, [], 0
        self.end, self.thread = threading.Event(), threading.Thread(target=self.trickle)

    def add(self):
        connection = self.server.connect(receive_buffer=4096)
        # Twenty alternatives to each token make two kilobytes of it.
        connection.sendall(question(self.random, 12, 400, logprobs=20))
        connection.setblocking(False)
        self.sockets.append(connection)

    def trickle(self):
        while not self.end.wait(1.0):
            for connection in list(self.sockets):
                with contextlib.suppress(BlockingIOError):
                    self.taken += len(connection.recv(1))

    def close(self):
        self.end.set()
        self.thread.join()
        for connection in self.sockets:
            connection.close()


def slow(place):
    readers, fast = place.size(500, 20), 4
    random_ = random.Random(place.seed)
    seconds = place.size(20, 0.7 * min(SLOWNESS, 3))
    with running(Watched(place, "--spec", "off", context=512, parallel=readers + fast)) as server:
        descriptors, ending = server.warm_up(), asyncio.Event()
        crowd = SlowReaders(server, random_)

        async def fast_reader(number):
            draw = random.Random(number)
            while not ending.is_set():
                answer = await Answer().read(server, question(draw, 12, 400))
                expect(answer.is_whole, f"a fast reader got {answer.data[-300:]}")

        async def measured():
            """Seconds for a step: of the engine's thread, and on the wall."""
            before, used, begin = server.metrics(), server.engine_seconds(), time.monotonic()
            await asyncio.sleep(seconds)
            after, used, wall = server.metrics(), server.engine_seconds() - used, time.monotonic() - begin
            steps = (after["generated_tokens_total"] - before["generated_tokens_total"]) / fast
            expect(steps > 0, "the fast readers got nothing")
            return used / steps, wall / steps

        async def fill():
            """Slow readers come, no more at a time than the queue holds, until all their sequences are parked."""
            for number in range(readers):
                crowd.add()
                while number % 16 == 15 and server.metrics()["requests_waiting"] > 16:
                    await asyncio.sleep(0.1)
            crowd.thread.start()
            before = set()
            while True:
                now = {(slot["id_task"], slot["n_decoded"]) for slot in server.slots() if slot["n_decoded"] > 32}
                parked = now & before
                if len(parked) >= readers * 0.99:
                    return len(parked), statistics.fmean(tokens for _, tokens in parked)
                before = now
                await asyncio.sleep(place.size(1.0, 0.3 * SLOWNESS))

        async def play():
            while server.metrics()["generated_tokens_total"] < 20 * fast:
                await asyncio.sleep(0.05)
            alone = [await measured()]
            begin = time.monotonic()
            parked, tokens = await until(fill(), 600, "parking the slow readers")
            say(f"{parked} sequences parked after {tokens:.0f} tokens each, {time.monotonic() - begin:.0f} s")
            beside = server.check_memory()
            together = await measured()
            beside = max(beside, server.check_memory())
            crowd.close()
            await asyncio.sleep(0.5)
            alone.append(await measured())
            ending.set()
            return [statistics.fmean(each) for each in zip(*alone)], together, beside

        try:
            alone, together, beside = asyncio.run(among(play(), (fast_reader(i) for i in range(fast))))
        finally:
            if crowd.thread.is_alive():
                crowd.close()
        server.check_empty(descriptors)
    ratios = [b / a for a, b in zip(alone, together)]
    say(f"a step of {fast} fast streams: {1000 * alone[0]:.3f} ms of the engine's thread alone, {1000 * together[0]:.3f} beside "
        f"{readers} slow readers ({ratios[0] - 1:+.1%}); {1000 * alone[1]:.3f} and {1000 * together[1]:.3f} ms on the wall "
        f"({ratios[1] - 1:+.1%})")
    say(f"{beside / 2**20:.0f} MiB held beside weights, keys and values; {crowd.taken} bytes trickled")
    place.expect(ratios[0] <= 1.05, f"a step took {ratios[0] - 1:.1%} longer beside slow readers (5 % allowed)")


# ---- Overload ----

def overload(place):
    seconds, tokens, parallel = place.size(60, 1.5 * min(SLOWNESS, 4)), place.size(32, 100), 4
    random_ = random.Random(place.seed)
    with running(Watched(place, "--spec", "off", context=place.size(2048, 8192), parallel=parallel)) as server:
        descriptors, answers, begin = server.warm_up(), [], time.monotonic()

        async def one():
            answers.append(await Answer().read(server, question(random_, 12, tokens)))

        async def saturate(seconds):
            """As many clients as keep all slots busy and the queue from being empty."""
            async def client():
                while time.monotonic() < begin + seconds:
                    await one()
            await asyncio.gather(*(client() for _ in range(2 * parallel)))

        def goodput(begin, end):
            return sum(a.is_whole and begin <= a.end < end for a in answers) / (end - begin)

        warm = seconds / 10
        asyncio.run(saturate(seconds / 4 + warm))
        peak = goodput(begin + warm, begin + warm + seconds / 4)
        expect(peak > 0, "nothing was answered")
        answers.clear()
        logged, begin = len(server.log_entries()), time.monotonic()

        async def crowd():
            """Clients come by chance, ten times as often as they can be answered."""
            tasks, due = [], begin
            while (due := due + random_.expovariate(10 * peak)) < begin + warm + seconds:
                await asyncio.sleep(max(0, due - time.monotonic()))
                tasks.append(asyncio.create_task(one()))
            await asyncio.gather(*tasks)

        asyncio.run(until(crowd(), 3 * seconds + 60, "the overload"))
        good = goodput(begin + warm, begin + warm + seconds)
        for answer in answers:
            answer.check_refusal()
        refused = [entry["ms"] for entry in server.log_entries()[logged:] if entry["status"] in (429, 503)]
        beside = server.check_memory()
        server.check_empty(descriptors)
    statuses = collections.Counter(a.status for a in answers)
    times = len(answers) / (warm + seconds) / peak
    say(f"{len(answers)} clients in {warm + seconds:.1f} s, {times:.1f} times what can be answered: " + ", ".join(
        f"{count} got {status}" for status, count in sorted(statuses.items())))
    say(f"answers a second: {peak:.2f} at saturation, {good:.2f} in the overload ({good / peak:.1%}); refusals took "
        f"{percentile(refused, 0.5):.1f} ms in the server, p99 {percentile(refused, 0.99):.1f} ms; {beside / 2**20:.0f} MiB held "
        "beside weights, keys and values")
    expect(len(refused) > len(answers) / 2, "this was no overload")
    place.expect(good >= 0.95 * peak, f"goodput fell to {good / peak:.1%} of its peak (95 % wanted)")
    place.expect(percentile(refused, 0.99) < 10, f"refusals took {percentile(refused, 0.99):.1f} ms (10 ms allowed)")


# ---- Shutdown ----

def shut_down(place, number):
    """One server, ended in the middle of its streams; returns how they ended and the seconds that it took."""
    random_ = random.Random(place.seed * 1000 + number)
    server = Server(place.folder, place.model, "-c", 60000, "-np", 4, "-t", 1, "--temp", 0)
    # Some can finish in time, some never will; what never does is cut by a second signal or after the grace.
    endless = random_.random() < 0.5 and not place.quick
    is_hurried = random_.random() < (0.5 if not place.quick else 0.4)
    lengths = [random_.randint(50, place.size(3000, 200)) for _ in range(3)] + [59000] * (endless or is_hurried)
    outcomes, received = [], {}

    def read(which, connection):
        received[which] = read_all(connection), time.monotonic()

    connections = [server.connect() for _ in lengths]
    readers = [threading.Thread(target=read, args=pair) for pair in enumerate(connections)]
    for length, connection, reader in zip(lengths, connections, readers):
        connection.sendall(question(random_, 10, length))
        connection.settimeout(20 * SLOWNESS)
        reader.start()
    # Short answers may be over before anybody looks.
    begin = time.monotonic()
    while not received and not any(slot["is_processing"] for slot in server.slots()):
        expect(time.monotonic() - begin < 5 * SLOWNESS, f"server {number} has begun nothing")
        time.sleep(0.005)
    time.sleep(random_.random() * 0.2)
    server.http.close()
    begin = time.monotonic()
    server.process.send_signal(random_.choice([signal.SIGTERM, signal.SIGINT]))
    if is_hurried:
        time.sleep(random_.random() * 0.3)
        with contextlib.suppress(ProcessLookupError):
            server.process.send_signal(signal.SIGTERM)
    server.stop(signal_number=0, seconds=10 * SLOWNESS)
    for reader in readers:
        reader.join()
    for which, (data, end) in received.items():
        expect(end - begin < 10 * SLOWNESS, f"a stream went on for {end - begin:.1f} s")
        if status_of(data) == 503 and b"Retry-After" in data:
            outcomes.append("refused")
            continue
        expect(data.endswith(b"0\r\n\r\n"), f"server {number}: stream {which} was cut: {data[-300:]}")
        is_told = b'"code":"shutting_down"' in data.rpartition(b"data: {")[2]
        expect(is_told or (b'"finish_reason":"length"' in data and b"data: [DONE]" in data),
               f"server {number}: stream {which} neither finished nor was told: {data[-600:]}")
        outcomes.append("told" if is_told else "finished")
    return outcomes, time.monotonic() - begin


def shutdown(place):
    count = place.size(200, 5)
    numbers, results, troubles = iter(range(count)), [], []
    lock = threading.Lock()

    def work():
        while not troubles:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results.append(shut_down(place, number))
            except Exception as error:  # told by the main thread
                troubles.append(error)

    threads = [threading.Thread(target=work) for _ in range(place.size(8, 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise Trouble(str(troubles[0]))
    ends = collections.Counter(outcome for outcomes, _ in results for outcome in outcomes)
    say(f"{count} shutdowns, each within {max(seconds for _, seconds in results):.1f} s: "
        + ", ".join(f"{n} streams {how}" for how, n in sorted(ends.items())))
    # A few streams of a slow build may all be told, or all finish.
    expect(all(ends[how] > 0 for how in ("told", "finished")) or (place.quick and len(ends) > 0), f"this was no storm: {dict(ends)}")


# ---- Fairness ----

def fairness(place):
    crowd, asked, tokens, most_seconds = 50, place.size(60, 2), place.size(32, 8), 90
    keys = place.folder / "keys"
    keys.write_text("many\none\n")
    random_ = random.Random(place.seed)
    headers = {"Authorization": "Bearer one"}
    with running(Watched(place, "--spec", "off", "--api-key-file", keys, context=place.size(2048, 8192),
                         threads=place.size(2, 1))) as server:
        async def waits(others):
            """Seconds until the first token of one user's requests while a key has so many open."""
            ending, found = asyncio.Event(), []

            async def other(number):
                draw = random.Random(place.seed * 1000 + number)
                while not ending.is_set():
                    answer = await Answer().read(server, question(draw, draw.randint(20, 60), tokens, key="many"))
                    expect(answer.is_whole, f"a request of the crowd got {answer.data[:300]}")

            async def one():
                await asyncio.sleep(place.size(3, 0.2))
                end = time.monotonic() + most_seconds
                while len(found) < asked and time.monotonic() < end:
                    answer = await Answer().read(server, question(random_, 30, 8, key="one"))
                    expect(answer.is_whole, f"the single user got {answer.data[:300]}")
                    found.append(answer.first - answer.begin)
                    await asyncio.sleep(random_.random() * 0.2)
                ending.set()

            await until(among(one(), (other(i) for i in range(others))), 600, "the crowd")
            return found

        beside_one = asyncio.run(waits(1))
        beside_many = asyncio.run(waits(crowd))
        server.check_memory(headers)
    figures = [(percentile(found, 0.5), percentile(found, 0.99)) for found in (beside_one, beside_many)]
    say(f"first token of {len(beside_one)} and {len(beside_many)} requests of one user: median {1000 * figures[0][0]:.0f} ms "
        f"and p99 {1000 * figures[0][1]:.0f} ms beside one request, {1000 * figures[1][0]:.0f} and {1000 * figures[1][1]:.0f} ms "
        f"beside {crowd} of another key ({figures[1][1] / figures[0][1]:.1f} times)")
    place.expect(figures[1][1] <= 2 * figures[0][1],
                 f"a single user waited {figures[1][1] / figures[0][1]:.1f} times as long beside {crowd} requests of another key "
                 "(2 allowed)")


STORMS = {storm.__name__: storm for storm in (leavers, vanishing, slow, overload, shutdown, fairness)}


@contextlib.contextmanager
def running(server):
    """Ends the server, and looks at how it ended where nothing else is wrong."""
    try:
        yield server
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    server.stop()


def make_talker(folder):
    """Says words without end, a thousand times as fast as the real model."""
    path = folder / "talker.gguf"
    make_parrot(path, ["word one, ", "word two, ", "and three. "], loop=0, context=65536, name="talker")
    return path


def make_babbler(folder):
    """Random weights, half as large as the real model and with few tokens: alternatives to each of them cost little."""
    path = folder / "babbler.gguf"
    if not path.exists():
        make_model(path, type="Q4_0", hidden=576, ffn=1536, layers=16, heads=9, kv_heads=3)
    return path


def real_model():
    path = os.environ.get("SMOLLM_TEST_MODEL")
    return path or subprocess.run([ROOT / "scripts" / "fetch-model.sh"], check=True, capture_output=True,
                                  text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", metavar="NAME", choices=STORMS)
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        talker = make_talker(folder)
        for title in options.only or STORMS:
            model = (talker if options.quick or title in ("shutdown", "vanishing") else make_babbler(folder) if title == "slow" else
                     real_model())
            print(title, flush=True)
            begin = time.monotonic()
            try:
                STORMS[title](Place(folder, model, options.quick, options.seed))
                print(f"    good, {time.monotonic() - begin:.0f} s", flush=True)
            except AssertionError as trouble:
                failed += 1
                print(f"    FAILED after {time.monotonic() - begin:.0f} s: {trouble}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
