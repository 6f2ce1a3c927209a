#!/usr/bin/env python3
"""How the time of a token grows with depth, batch and threads, beside what the limits of the machine allow.

usage: growth.py MODEL [--depths 0,1024,4096,7680] [--batches 1,2,3,4,6,8,12,16] [--threads 1,2] [--write docs/notes] ...

Cost should grow smoothly. A point that lies more than --step above the straight line between its neighbors is reported (and
the exit status is 1): something is done badly there, for example a batch that is one token too large for a tile. Limits are measured before and
after each run; rounds in which they moved by more than --tolerance are dropped, counted and repeated.

--write DIR writes a dated note, DIR/YYYY-MM-DD-growth.md, and its plots into DIR/images.
"""
import argparse
import json
import pathlib
import sys

import plot
from measure import SMOLLM, Page, Program, Rounds, median_limits, numbers, shown, spread
from model_file import Model


def read(text):
    return {(x["test"], x["batch"], x["depth"]): 1e3 / x["tokens_per_second"]["median"] for x in json.loads(text)}


def above_the_line(points, step):
    """(x, y, the line there) of each point that lies too far above the line between its neighbors."""
    found = []
    for (x0, y0), (x, y), (x1, y1) in zip(points, points[1:], points[2:]):
        line = y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        if y > (1 + step) * line:
            found.append((x, y, line))
    return found


class Growth:
    def __init__(self, options):
        self.options, self.path = options, pathlib.Path(options.model)
        self.model = Model(SMOLLM, self.path)
        self.page = Page(options.write, "growth", f"How the cost of a token grows: {self.path.stem}",
                         "Does the cost of a token grow smoothly with depth, batch size and threads?")
        self.reported = 0

    def measure(self, threads, *more):
        o = self.options
        command = [SMOLLM, "bench", self.path, "-t", threads, "-n", o.generate, "-r", 1, "--precise", "off", *more, "--json"]
        rounds = Rounds([Program("smollm", command, read)], o.rounds, threads, o.tolerance)
        return rounds, {key: spread(values) for key, values in rounds.figures["smollm"].items()}, shown(command)

    def show(self, name, title, x_label, points, limit, commands, rounds):
        """points: [(x, median, least, most)] in ms a token."""
        page = self.page
        page.add(f"## {title}", "")
        page.table([x_label, "ms a token", "min", "max", "limit", "share of limit"],
                   [[str(x), f"{y:.3f}", f"{low:.3f}", f"{high:.3f}", f"{at:.3f}", f"{at / y:.2f}"]
                    for (x, y, low, high), (_, at) in zip(points, limit)])
        page.figure(plot.lines, f"growth-{name}", title, x_label, "milliseconds a token", [("smollm", points)], limit=limit)
        page.add(*[f"    {c}" for c in commands], "", *[r.sentence() for r in rounds], "")
        steps = above_the_line([p[:2] for p in points], self.options.step)
        for x, y, line in steps:
            page.add(f"**At {x}: {y:.3f} ms, {y / line - 1:.0%} above the line between its neighbors.**", "")
        if not steps and len(points) > 2:
            page.add(f"No point lies more than {self.options.step:.0%} above the line between its neighbors.", "")
        self.reported += len(steps)

    def depths(self):
        o, m = self.options, self.model
        rounds, found, command = self.measure(max(o.threads), "-p", o.prompt, "-d", ",".join(map(str, o.depths)))
        limits = median_limits(rounds.limits)
        self.show("depth-decode", "Generating, by depth", "positions before",
                  [(d, *found["decode", 1, d]) for d in o.depths],
                  [(d, 1e3 / m.decode_limit(limits, 1, d, o.generate)) for d in o.depths], [command], [rounds])
        self.show("depth-prefill", f"Reading {o.prompt} tokens, by depth", "positions before",
                  [(d, *found["prefill", 1, d]) for d in o.depths],
                  [(d, 1e3 / m.prefill_limit(limits, o.prompt, d)) for d in o.depths], [command], [rounds])

    def batches(self):
        o, m = self.options, self.model
        rounds, found, command = self.measure(max(o.threads), "-p", 0, "-b", ",".join(map(str, o.batches)))
        limits = median_limits(rounds.limits)
        self.show("batch", "Generating, by sequences together", "sequences",
                  [(b, *found["decode", b, 0]) for b in o.batches],
                  [(b, 1e3 / m.decode_limit(limits, b, 0, o.generate)) for b in o.batches], [command], [rounds])

    def threads(self):
        o, m = self.options, self.model
        done = [(t, *self.measure(t, "-p", o.prompt)) for t in o.threads]
        commands, rounds = [x[3] for x in done], [x[1] for x in done]
        for test, title in (("decode", "Generating, by threads"), ("prefill", f"Reading {o.prompt} tokens, by threads")):
            limit = []
            for t, r, _, _ in done:
                limits = median_limits(r.limits)
                limit.append((t, 1e3 / (m.decode_limit(limits, 1, 0, o.generate) if test == "decode"
                                        else m.prefill_limit(limits, o.prompt))))
            self.show(f"threads-{test}", title, "threads", [(t, *found[test, 1, 0]) for t, _, found, _ in done], limit,
                      commands, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    for name, standard, text in (("depths", "0,512,1024,2048,4096,7680", "positions filled beforehand"),
                                 ("batches", "1,2,3,4,6,8,12,16", "sequences that generate together"),
                                 ("threads", "1,2", "numbers of threads; the largest is used for depths and batches")):
        parser.add_argument(f"--{name}", metavar="N,...", type=numbers, default=numbers(standard), help=f"{text} [{standard}]")
    parser.add_argument("--only", choices=["depths", "batches", "threads"])
    for name, standard, text in (("rounds", 3, "rounds to keep of each run"), ("prompt", 256, "tokens of the prompt"),
                                 ("generate", 32, "tokens generated")):
        parser.add_argument(f"--{name}", metavar="N", type=int, default=standard, help=f"{text} [{standard}]")
    parser.add_argument("--step", metavar="X", type=float, default=0.15, help="share above the line that is reported [0.15]")
    parser.add_argument("--tolerance", metavar="X", type=float, default=0.1,
                        help="share by which a limit may move in a round [0.1]")
    parser.add_argument("--write", metavar="DIR", help="write Markdown and plots there")
    options = parser.parse_args()
    growth = Growth(options)
    for part in ("depths", "batches", "threads"):
        if options.only in (None, part):
            getattr(growth, part)()
    growth.page.save()
    sys.exit(growth.reported > 0)


if __name__ == "__main__":
    main()
