"""Running programs in turn, between measurements of the machine's limits."""
import datetime
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
SMOLLM = BUILD / "smollm"


def say(text=""):
    print(text, flush=True)


def output(command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {result.returncode}:\n{result.stderr[-2000:]}")
    return result.stdout


def shown(command):
    """A command line for a reader: names without the folders of this machine."""
    return " ".join(pathlib.Path(c).name if isinstance(c, pathlib.Path) else str(c) for c in command)


def roofline(threads):
    """Limits of so many threads together: bytes and multiply-accumulates a second; 0 where not known."""
    text = output([BUILD / "bench" / "roofline", "--together", threads])

    def last(pattern, scale):
        found = re.findall(pattern + r", \d+ thread\(s\): ([\d.]+)", text)
        return float(found[-1]) * scale if found else 0.0

    return {"read": last("read", 1e9), "int8": last(r"int8 \(\w+\)", 1e12),
            "tiles": last(r"int8 in tiles \(\w+\)", 1e12), "float": last(r"float \(fma\)", 1e12)}


def moved(limits):
    """By how much the worst of the limits moved between several measurements, as a share."""
    columns = [[x[k] for x in limits] for k in limits[0]]
    return max((max(c) / min(c) - 1 for c in columns if min(c) > 0), default=0.0)


def median_limits(limits):
    return {k: statistics.median(x[k] for x in limits) for k in limits[0]}


def spread(values):
    """median, least, most"""
    return statistics.median(values), min(values), max(values)


def processor_seconds():
    """What all processors have spent, idling and in all, and what the programs that we ran have spent."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(x) for x in file.readline().split()[1:9]]
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = os.sysconf("SC_CLK_TCK")
    return (ticks[3] + ticks[4]) / rate, sum(ticks) / rate, own.ru_utime + own.ru_stime


def share_of_others(before, after):
    """Of the processors' time between two readings of processor_seconds, what other programs took."""
    idle, all_, own = (b - a for a, b in zip(before, after))
    return max(0.0, (all_ - idle - own) / all_) if all_ > 0 else 0.0


def llama_program(folder, name):
    """A program of a built llama.cpp."""
    found = [p for p in pathlib.Path(folder).rglob(name) if p.is_file()]
    if not found:
        raise SystemExit(f"{folder} holds no {name}: build it with bench/llamacpp_build.sh")
    return found[0]


class Program:
    """command -> {key: figure}, read by `parse` from what the command prints."""

    def __init__(self, name, command, parse):
        self.name, self.command, self.parse = name, command, parse

    def run(self):
        return self.parse(output(self.command))


class Rounds:
    """Rounds of all programs by turns, with the limits measured before and after each run. A round in which a limit moved
    by more than the tolerance is dropped, counted and repeated, up to three times as many rounds as wanted."""

    def __init__(self, programs, wanted, threads, tolerance=0.1):
        self.figures = {program.name: {} for program in programs}  # name -> key -> one figure a round
        self.limits, self.others, self.kept, self.dropped, self.tolerance = [], [], 0, 0, tolerance
        for number in range(3 * wanted):
            if self.kept == wanted:
                break
            # Who goes first changes from round to round.
            order = programs if number % 2 == 0 else programs[::-1]
            begin, limits, found = processor_seconds(), [roofline(threads)], {}
            for program in order:
                found[program.name] = program.run()
                limits.append(roofline(threads))
            if moved(limits) > tolerance:
                self.dropped += 1
                print(f"round dropped: a limit moved by {moved(limits):.0%}", file=sys.stderr, flush=True)
                continue
            self.kept += 1
            self.limits += limits
            self.others.append(share_of_others(begin, processor_seconds()))
            for name, figures in found.items():
                for key, figure in figures.items():
                    self.figures[name].setdefault(key, []).append(figure)
        if self.kept == 0:
            raise SystemExit(f"no round is left of {self.dropped}: a limit moved by more than --tolerance in each")

    def sentence(self):
        limits = median_limits(self.limits)
        text = (f"{self.kept} round{'s' * (self.kept != 1)}, {self.dropped} dropped because a limit moved by more than {self.tolerance:.0%}. "
                f"Limits: reading {limits['read'] / 1e9:.1f} GB/s")
        if limits["int8"]:
            text += f", int8 {limits['int8'] / 1e12:.3f} TMAC/s, float {limits['float'] / 1e12:.3f} TMAC/s"
        if limits["tiles"]:
            text += f"; int8 in tiles {limits['tiles'] / 1e12:.2f} TMAC/s, which is not what shares are of"
        others = statistics.median(self.others)
        if others > 0.05:  # limits that are steadily low do not drop a round, but they are not the machine's
            text += f". Other programs took {others:.0%} of the processors meanwhile"
        return text + "."


def numbers(text):
    return [int(x) for x in text.split(",")]


class Page:
    """A dated note in Markdown: printed, and written with its plots where a folder is given. The tables have one number
    per cell. What a note ends with, its decision, is written by hand."""

    def __init__(self, folder, name, title, question):
        self.folder = pathlib.Path(folder) if folder else None
        self.name = f"{datetime.date.today()}-{name}"
        self.text = [f"# {title}", "", f"**Question.** {question}", ""]
        self.images = self.folder / "images" if folder else None

    def add(self, *text):
        for line in text:
            say(line)
        self.text += text

    def table(self, head, rows):
        lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
        self.add(lines[0], "|" + "---|" * len(head), *lines[1:], "")

    def figure(self, draw, name, title, *arguments, **options):
        if self.images:
            name = f"{self.name[:10]}-{name.replace(' ', '-')}"
            draw(self.images / f"{name}.svg", title, *arguments, **options)
            self.text += [f"![{title}](images/{name}.svg)", ""]

    def save(self):
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{self.name}.md").write_text("\n".join(self.text).rstrip() + "\n", encoding="utf-8")
