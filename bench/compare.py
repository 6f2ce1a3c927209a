#!/usr/bin/env python3
"""smollm and llama.cpp on the same files, in turn, beside the limits of the machine.

usage: compare.py LLAMA_CPP MODEL... [--batches 1,2,4,8,12,16] [--depths 4096,16384] [--write docs/notes] ...
    LLAMA_CPP   folder of a built llama.cpp (bench/llamacpp_build.sh makes one)

Reading a prompt and generating with each model; with --batches several sequences together instead, with --depths both deep
inside a conversation. The limits are measured before and after each run of a program, and a round in which one of them moved
by more than --tolerance is dropped, counted and repeated. With files below 500 MB, whose tests take fractions of a second, the
median of five is a round's figure (not with --batches). Prints medians, ranges, the ratio of medians, and the share of the
limit that follows from the bytes and multiply-accumulates of the file: only figures of one run can be compared.
smollm runs with --precise off, since llama.cpp has no such mode, and for reading and generating also with --precise on.
Of llama.cpp the better of -fa 0 and 1 counts for each test (at depth: 1, because 0 is slower there).

--write DIR writes a dated note, DIR/YYYY-MM-DD-speed.md, -batches.md or -depths.md, and its plots into DIR/images.
"""
import argparse
import json
import pathlib
import statistics

import plot
from measure import SMOLLM, Page, Program, Rounds, llama_program, median_limits, numbers, shown, spread
from model_file import Model

# llama.cpp's number of sequences for each of ours: its cost makes steps, and it is not asked for more than it does well.
PARTNER = {1: 1, 2: 1, 4: 4, 8: 8, 12: 8, 16: 16}
OURS, PRECISE = "smollm", "smollm --precise on"
BATCH_PROMPT = 16  # positions that each sequence of a batch begins with
SMALL_FILE = 500e6  # bytes: below, a test takes fractions of a second, and the median of several is a round's figure


def read_ours(text):
    return {(x["test"], x["batch"], x["depth"]): x["tokens_per_second"]["median"] for x in json.loads(text)}


def read_llama_bench(text):
    return {("prefill" if x["n_prompt"] else "decode", 1, x["n_depth"]): statistics.median(x["samples_ts"])
            for x in json.loads(text)}


def read_batched_bench(text):
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {("decode", x["pl"], BATCH_PROMPT): x["speed_tg"] for x in found}


def partner(batch):
    return PARTNER.get(batch, batch)


class Comparison:
    def __init__(self, options, path):
        self.options, self.path = options, pathlib.Path(path)
        self.name = self.path.stem
        self.model = Model(SMOLLM, self.path, options.cache_type)
        self.repetitions = 5 if self.path.stat().st_size < SMALL_FILE and not options.batches else 1

    def llama(self, program):
        return llama_program(self.options.llama_cpp, program)

    def run(self, programs):
        o = self.options
        self.rounds = Rounds(programs, o.rounds, o.threads, o.tolerance)
        self.commands = [shown(p.command) for p in programs]
        self.limits = median_limits(self.rounds.limits)
        return self

    def ours(self, *more, name=OURS, precise="off"):
        command = [SMOLLM, "bench", self.path, "-t", self.options.threads, "-r", self.repetitions, "--precise", precise,
                   "--cache-type", self.options.cache_type, *more, "--json"]
        return Program(name, command, read_ours)

    def llama_bench(self, flash, *more):
        command = [self.llama("llama-bench"), "-m", self.path, "-t", self.options.threads, "-r", self.repetitions,
                   "-fa", flash, *more, "-o", "json"]
        return Program(f"-fa {flash}", command, read_llama_bench)

    def batched_bench(self, flash, batches):
        o = self.options
        context = max(batches) * (BATCH_PROMPT + o.generate) + 64
        command = [self.llama("llama-batched-bench"), "-m", self.path, "-t", o.threads, "-tb", o.threads, "-fa", flash,
                   "-c", context, "-npp", BATCH_PROMPT, "-ntg", o.generate, "-npl", ",".join(map(str, batches)),
                   "--output-format", "jsonl"]
        return Program(f"-fa {flash}", command, read_batched_bench)

    def speed(self):
        o = self.options
        work = ("-p", o.prompt, "-n", o.generate)
        return self.run([self.ours(*work), self.ours(*work, name=PRECISE, precise="on")] + [self.llama_bench(flash, *work) for flash in (0, 1)])

    def batches(self):
        o = self.options
        theirs = sorted({partner(b) for b in o.batches})
        return self.run([self.ours("-p", 0, "-n", o.generate, "-b", ",".join(map(str, o.batches)), "-d", BATCH_PROMPT)] +
                        [self.batched_bench(flash, theirs) for flash in ("off", "on")])

    def depths(self):
        o = self.options
        work = ("-p", o.prompt, "-n", o.generate, "-d", ",".join(map(str, o.depths)))
        return self.run([self.ours(*work), self.llama_bench(1, *work)])

    def pair(self, key, who=OURS):
        """Our figures and the better ones of llama.cpp's ways, and which way that is."""
        ways = {name: figures for name, figures in self.rounds.figures.items() if name not in (OURS, PRECISE)}
        their_key = (key[0], partner(key[1]), key[2])
        best = max(ways, key=lambda name: spread(ways[name][their_key])[0])
        return spread(self.rounds.figures[who][key]), spread(ways[best][their_key]), best

    def limit(self, key):
        test, batch, depth = key
        if test == "prefill":
            return self.model.prefill_limit(self.limits, self.options.prompt, depth)
        return self.model.decode_limit(self.limits, batch, depth, self.options.generate)

    def row(self, key, label, who=OURS):
        ours, theirs, way = self.pair(key, who)
        limit = self.limit(key)
        return [*label, *map(digits, ours), *map(digits, theirs), way, f"{ours[0] / theirs[0]:.2f}", digits(limit),
                f"{ours[0] / limit:.2f}"]

    def notes(self, page):
        m = self.model
        page.add(f"{self.name}: {', '.join(m.types)}; {m.bytes / 1e6:.0f} MB read and {m.macs / 1e9:.3f} GMAC for each "
                 f"token generated alone, {m.kv_bytes} bytes of keys and values a position. {self.rounds.sentence()}", "",
                 *(f"    {command}" for command in self.commands), "")


def digits(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# Medians, each with its range, and what they are compared with.
COLUMNS = ["smollm", "min", "max", "llama.cpp", "min", "max", "llama.cpp option", "ratio", "limit", "share of limit"]


def speed(options):
    page = Page(options.write, "speed", "Prefill and decode, compared with llama.cpp",
                "How fast are prompts read and answers generated, compared with llama.cpp?")
    done = [Comparison(options, path).speed() for path in options.models]
    tests = (("prefill", 1, 0), ("decode", 1, 0))
    names = {"prefill": f"prefill of {options.prompt}", "decode": "decode, one sequence"}
    page.add(f"Tokens a second with {options.threads} threads.", "")
    page.table(["model", "test", *COLUMNS],
               [c.row(key, [c.name, names[key[0]] + more], who) for c in done
                for who, more in ((OURS, ""), (PRECISE, ", precise")) for key in tests])
    for key in tests:
        page.figure(plot.bars, f"speed-{key[0]}", names[key[0]].capitalize(), "model", "tokens a second",
                    [(c.name, list(c.pair(key)[:2])) for c in done], ["smollm", "llama.cpp"],
                    limits=[c.limit(key) for c in done])
    for c in done:
        c.notes(page)
    page.save()


def batches(options):
    page = Page(options.write, "batches", "Several sequences together, compared with llama.cpp",
                "How many tokens a second do several sequences get together, compared with llama-batched-bench?")
    page.add(f"Tokens a second of all sequences together, {options.threads} threads.", "")
    for path in options.models:
        c = Comparison(options, path).batches()
        keys = [("decode", b, BATCH_PROMPT) for b in options.batches]
        page.table(["model", "sequences", "of llama.cpp", *COLUMNS],
                   [c.row(key, [c.name, str(key[1]), str(partner(key[1]))]) for key in keys])
        theirs = sorted({(partner(k[1]), *c.pair(k)[1]) for k in keys})
        page.figure(plot.lines, f"batches-{c.name}", f"{c.name}: sequences generated together", "sequences",
                    "tokens a second, all together",
                    [("smollm", [(k[1], *c.pair(k)[0]) for k in keys]), ("llama.cpp", theirs)],
                    limit=[(k[1], c.limit(k)) for k in keys])
        c.notes(page)
    page.save()


def depths(options):
    page = Page(options.write, "depths", "Deep inside a conversation, compared with llama.cpp",
                "What remains of the speed deep inside a conversation?")
    page.add(f"Tokens a second with {options.threads} threads, behind the number of positions in the column depth.", "")
    for path in options.models:
        c = Comparison(options, path).depths()
        for test, name in (("prefill", f"prefill of {options.prompt}"), ("decode", "decode, one sequence")):
            keys = [(test, 1, d) for d in options.depths]
            page.table(["model", "test", "depth", *COLUMNS],
                       [c.row(key, [c.name, name, str(key[2])]) for key in keys])
            series = [(who, [(k[2], *c.pair(k)[i]) for k in keys]) for i, who in enumerate(("smollm", "llama.cpp"))]
            page.figure(plot.lines, f"depths-{test}-{c.name}", f"{c.name}: {name}", "positions before", "tokens a second",
                        series,
                        limit=[(k[2], c.limit(k)) for k in keys])
        c.notes(page)
    page.save()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", metavar="LLAMA_CPP")
    parser.add_argument("models", metavar="MODEL", nargs="+")
    parser.add_argument("--batches", metavar="N,...", type=numbers, help="sequences that generate together")
    parser.add_argument("--depths", metavar="N,...", type=numbers, help="positions filled beforehand")
    for name, standard, text in (("rounds", 5, "rounds to keep"), ("threads", 2, "threads of both programs"),
                                 ("prompt", 512, "tokens of the prompt"), ("generate", 64, "tokens generated")):
        parser.add_argument(f"--{name}", metavar="N", type=int, default=standard, help=f"{text} [{standard}]")
    parser.add_argument("--tolerance", metavar="X", type=float, default=0.1,
                        help="share by which a limit may move in a round [0.1]")
    parser.add_argument("--cache-type", choices=["f16", "q8_0"], default="f16", help="keys and values of smollm [f16]")
    parser.add_argument("--write", metavar="DIR", help="write Markdown and plots there")
    options = parser.parse_args()
    (batches if options.batches else depths if options.depths else speed)(options)


if __name__ == "__main__":
    main()
