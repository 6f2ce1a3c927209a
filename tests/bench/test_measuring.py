"""The tools that measure: limits follow from the file, unsteady rounds are dropped, steps are found, plots are whole, users are
counted right."""
import asyncio
import itertools
import json
import os
import pathlib
import subprocess
import sys
import types
import xml.etree.ElementTree as xml

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "models")]

import load  # noqa: E402
import measure  # noqa: E402
import plot  # noqa: E402
from model_file import Model  # noqa: E402

LIMITS = {"read": 40e9, "int8": 400e9, "tiles": 0.0, "float": 100e9}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from make_model import make_model

    path = tmp_path_factory.mktemp("measuring") / "small.gguf"
    make_model(path, arch="llama", type="Q4_K", hidden=256, ffn=512, layers=2, heads=4, kv_heads=2, vocab=352)
    return Model(os.environ.get("SMOLLM", measure.SMOLLM), path)


def test_limits_follow_from_the_file(model):
    layer = 2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 512
    assert model.layer_macs == {True: 0, False: 2 * layer}
    assert model.layer_bytes == 2 * layer * 144 // 256
    assert model.kv_bytes == 2 * 2 * 128 * 2 and model.attention_macs == 2 * 2 * 256
    # Alone, reading is the limit; a batch of 64 computes longer than it reads.
    kv = 1001 * model.kv_bytes
    assert model.decode_limit(LIMITS, 1, 1000) == pytest.approx(LIMITS["read"] / (model.bytes + kv))
    wide = 64 / (64 * model.macs / LIMITS["int8"] + 64 * model.attention_macs / LIMITS["float"])
    assert model.decode_limit(LIMITS, 64) == pytest.approx(wide)


def test_unsteady_rounds_are_dropped(monkeypatch):
    speeds = iter([40e9, 41e9, 40e9,  # kept
                   40e9, 50e9, 40e9,  # dropped
                   42e9, 42e9, 41e9])  # kept
    monkeypatch.setattr(measure, "roofline", lambda threads: {**LIMITS, "read": next(speeds)})
    monkeypatch.setattr(measure, "output", lambda command: command)
    order = []
    programs = [measure.Program(name, name, lambda text: order.append(text) or {"key": len(order)}) for name in "ab"]
    rounds = measure.Rounds(programs, 2, 1)
    assert (rounds.kept, rounds.dropped) == (2, 1)
    assert order == ["a", "b", "b", "a", "a", "b"] and rounds.figures == {"a": {"key": [1, 5]}, "b": {"key": [2, 6]}}
    assert "2 rounds, 1 dropped" in rounds.sentence()


def test_the_share_of_others():
    # Idle, all, ours: of 10 seconds 4 were idle and 5 ours.
    assert measure.share_of_others((100.0, 200.0, 7.0), (104.0, 210.0, 12.0)) == pytest.approx(0.1)
    assert measure.share_of_others((100.0, 200.0, 7.0), (100.0, 200.0, 7.0)) == 0


def test_a_command_is_shown_without_folders():
    assert measure.shown([pathlib.Path("/somewhere/smollm"), "bench", "-t", 2]) == "smollm bench -t 2"


def test_plots_are_whole(tmp_path):
    points = [(1, 10.0, 9.0, 11.0), (8, 40.0, 39.0, 42.5), (4, 30.0, 29.0, 31.0)]
    plot.lines(tmp_path / "lines.svg", "A < B", "sequences", "tokens a second", [("ours", points), ("theirs", points[:2])],
               limit=[(1, 12.0), (8, 90.0)])
    plot.bars(tmp_path / "bars.svg", "Types", "model", "tokens a second",
              [("3b-Q4_0", [(1.0, 0.9, 1.1), None]), ("a-name-that-is-far-too-long-for-one-line", [(2.0, 2.0, 2.0)] * 2)],
              ["ours", "theirs"], limits=[3.0, None])
    for name in ("lines", "bars"):
        root = xml.parse(tmp_path / f"{name}.svg").getroot()
        text = " ".join(root.itertext())
        assert "tokens a second" in text and "limit of the machine" in text and "prefers-color-scheme" in text
        width, height = float(root.get("width")), float(root.get("height"))
        for mark in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(mark.get("x", 0)) <= width and 0 <= float(mark.get("y", 0)) <= height


def test_ticks_are_round():
    assert plot.ticks(42) == [0, 10, 20, 30, 40, 50]
    assert plot.ticks(0.9)[-1] >= 0.9 and plot.ticks(1135)[1] in (200, 250)


def test_the_kernel_bench_names_every_operation():
    program = measure.BUILD / "bench" / "kernel"
    if not program.exists():
        pytest.skip("not built")
    text = subprocess.run([program, "--tier", "generic", "--shape", "64x256", "--type", "q4_k,f16", "--tokens", "1,2",
                           "--depth", "64", "--seconds", "0.005"], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines()[1:] if not line.startswith("#")]
    assert {row[0] for row in rows} == {"matmul", "kv_store", "attention", "attention_merge", "rotate", "rmsnorm", "quantize", "swiglu",
                                        "exponentials", "peaks"}
    assert all(row[1] == "generic" for row in rows) and sum(row[0] == "matmul" for row in rows) == 4


@pytest.mark.parametrize("y, steps", [(1.0, []), (1.2, [(2, 1.2, 1.0)])])
def test_steps_are_found(y, steps):
    import growth

    assert growth.above_the_line([(1, 1.0), (2, y), (4, 1.0)], 0.15) == steps


def load_options(**more):
    standard = dict(users=6, turns=2, seed=3, question=10, tokens=8, system=20, arrival=0.0, think=0.0, spread=0.5, leavers=0.3,
                    slow=0.3, pause=0.1, ttft=1.0, between=0.2, timeout=10)
    return types.SimpleNamespace(**{**standard, **more})


def test_what_users_wait_for():
    def answer(turn, *times, status=200, **more):
        a = load.Answer(turn, len(times), **more)
        a.status, a.begin, a.times, a.tokens = status, 100.0, [100.0 + t for t in times], len(times)
        return a

    answers = [answer(0, 0.5, 0.6, 0.7), answer(0, 2.0, 2.1, 2.2), answer(1, 0.1, 0.5, 0.9), answer(0, 9.0, 19.0, is_slow=True),
               answer(0, status=429), answer(0, status=-1)]
    figures = load.figures_of(answers, 10.0, load_options())
    assert figures["first token", "median"] == pytest.approx(2000)
    assert figures["first token, later turns", "p99"] == pytest.approx(100)
    assert figures["between tokens", "p99"] == pytest.approx(400) and figures["between tokens", "median"] == pytest.approx(100)
    # One is late, one has long pauses, a slow reader does not count.
    assert figures["good"] == 1 and figures["goodput"] == pytest.approx(0.1) and figures["tokens/s"] == pytest.approx(1.1)
    assert (figures["refused"], figures["failed"], figures["answers"]) == (1, 1, 4)


def test_every_server_meets_the_same_users(monkeypatch):
    async def try_to_ask(address, messages, answer, options, leaves_after=None, pause=0.0):
        asked.append((json.dumps(messages), answer.wanted, leaves_after, pause))
        answer.text = "so"
        return leaves_after is None

    monkeypatch.setattr(load, "try_to_ask", try_to_ask)
    storms = []
    for seed in (3, 3, 4):
        asked = []
        asyncio.run(load.storm("http://nowhere:1", load_options(seed=seed)))
        storms.append(sorted(asked))
    assert storms[0] == storms[1] != storms[2]
    wanted, leaves, pauses = ({x[i] for x in storms[0]} for i in (1, 2, 3))
    assert wanted <= set(range(4, 13)) and len(wanted) > 2 and len(leaves) > 1 and pauses == {0.0, 0.1}
    systems = {json.loads(x[0])[0]["content"] for x in storms[0]}
    assert len(systems) == 1 and any(len(json.loads(x[0])) == 4 for x in storms[0])


@pytest.mark.parametrize("ends", [False, True])
def test_a_prompt_beside_streams(monkeypatch, ends):
    clock, reading = [100.0], []

    async def try_to_ask(address, messages, answer, options):
        if len(messages.split()) == 50:
            reading.append(True)
            while not ends and clock[0] < answer.begin + 1:
                await asyncio.sleep(0)
            answer.times, answer.prompt = [clock[0]], 51
            reading.clear()
            return True
        for _ in range(30) if ends else itertools.count():
            clock[0] += 0.020 if reading else 0.010
            answer.times.append(clock[0])
            await asyncio.sleep(0)
        return True

    monkeypatch.setattr(load, "try_to_ask", try_to_ask)
    monkeypatch.setattr(load, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    options = load_options(users=1, tokens=20, beside=50)
    if ends:
        with pytest.raises(SystemExit, match="1 of 1 streams were over"):
            asyncio.run(load.rhythm("http://nowhere:1", options))
        return
    figures = asyncio.run(load.rhythm("http://nowhere:1", options))
    assert figures["alone", "p99"] == pytest.approx(10) and figures["beside", "median"] == pytest.approx(20)
    assert figures["times", "p99"] == pytest.approx(2) and figures["prompt tokens"] == 51
    assert figures["first token of the prompt, ms"] == pytest.approx(1000, rel=0.05)
    assert ["times, p99", "2.00"] in list(load.rhythm_rows([{key: (x, x, x) for key, x in figures.items()}]))
