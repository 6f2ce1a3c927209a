#!/usr/bin/env python3
"""Run all tests: C unit tests, black-box tests, the page's tests; in a plain build and in one with AddressSanitizer and
UndefinedBehaviorSanitizer; the selftest on emulated CPUs. The last line is "N passed, N failed".

usage: run.py [--quick] [--only PART]...      parts: unit, python, page, emulated, asan-unit, asan-python, storms, tsan-storms
--quick leaves the sanitizers out. The last two run only when named (make storms, make storms-tsan). Python packages are
installed into .venv, models and tokenizers into the user's cache.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
# Seconds: a part that hangs is ended and counts as failed.
PYTHON_LIMIT, PAGE_LIMIT, EMULATED_LIMIT, STORM_LIMIT = 1500, 600, 900, 900
LOWEST = ("nice", "-n", "19")
ASAN = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"]
TSAN = ["-Db_sanitize=thread", "-Db_lundef=false", "-Doptimization=1"]
ON_DEMAND = ("storms", "tsan-storms")
PARTS = ("unit", "python", "page", "emulated", "asan-unit", "asan-python", *ON_DEMAND)
CLOSINGS = 10000  # engines
# Lanes of one sequence at work at the same time.
PASSES = ("tests/model", "-k", "same_bits and smollm3-mixed-f16")
STORMS = ("leavers", "vanishing", "slow", "overload", "shutdown", "fairness")


def say(text):
    print(text, flush=True)


def run(*command, **options):
    return subprocess.run([str(c) for c in command], cwd=ROOT, **options)


def run_limited(*command, limit, **options):
    """Exit status and standard output (None unless piped); past the limit, all that it started is ended too."""
    with subprocess.Popen([str(c) for c in command], cwd=ROOT, start_new_session=True, text=True, **options) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            say(f"ended after {limit} s")
            return -1, output
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output


def build(folder, *options, prefix=()):
    if "-Dcore_only=true" not in options:
        options = (*options, "-Dtests=enabled")
    configured = folder / "configured.json"
    if not (folder / "build.ninja").exists() or not configured.exists() or configured.read_text() != json.dumps(options):
        run(ROOT / "scripts" / "configure.sh", folder, *options, check=True)
        configured.write_text(json.dumps(options))
    result = run(*prefix, "ninja", "-C", folder, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stdout[-4000:] + result.stderr[-4000:])


def prepare_python():
    requirements = ROOT / "tests" / "requirements.txt"
    stamp = VENV / "requirements.installed"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return
    run(sys.executable, "-m", "venv", VENV, check=True)
    run(VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements, check=True)
    stamp.write_text(requirements.read_text())


def output_of(script):
    return run(ROOT / "scripts" / script, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def unit_test(test, limit, environment):
    """One program under its time limit: tests passed, failed, seconds, output."""
    begin = time.monotonic()
    try:
        result = run(*test["cmd"], env={**environment, **test.get("env", {})}, capture_output=True, text=True,
                     timeout=limit, errors="replace")
        output, code = result.stdout + result.stderr, result.returncode
    except subprocess.TimeoutExpired as expired:
        output, code = f"{expired}", -1
    good = len(re.findall(r"^\[       OK \]", output, re.M))
    bad = len(set(re.findall(r"^\[  FAILED  \] (\w+)$", output, re.M)))
    if good + bad == 0:  # a program that is one test
        good, bad = int(code == 0), int(code != 0)
    if code != 0 and bad == 0:
        bad = 1
    return good, bad, time.monotonic() - begin, output


def unit_tests(folder, environment, slowness=1):
    """All cmocka programs, one for each processor at a time; counts their tests. slowness: of this build."""
    listing = json.loads(run("meson", "introspect", "--tests", folder, check=True, capture_output=True, text=True).stdout)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
        results = executor.map(lambda test: unit_test(test, slowness * test["timeout"], environment), listing)
        for test, (good, bad, seconds, output) in zip(listing, results):
            passed += good
            failed += bad
            say(f"  {test['name']:24} {good:4} passed {bad:3} failed  {seconds:6.1f} s")
            if bad:
                say(output[-6000:])
    return passed, failed


def python_tests(folder, environment, *chosen):
    """All black-box tests, or the chosen ones: arguments of pytest."""
    report = folder / "pytest.xml"
    report.unlink(missing_ok=True)
    run_limited(VENV / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
                "--durations=5", *(chosen or ["tests"]), limit=PYTHON_LIMIT,
                env={**environment, "SMOLLM": str(folder / "smollm"), "SMOLLM_BUILD_DIR": str(folder)})
    if not report.exists():
        return 0, 1
    suite = xml.parse(report).getroot()[0]
    bad = int(suite.get("failures")) + int(suite.get("errors"))
    return int(suite.get("tests")) - bad - int(suite.get("skipped")), bad


def page_tests(folder, environment):
    script = ROOT / "tests" / "page" / "run.sh"
    status, output = run_limited(script, limit=PAGE_LIMIT, env={**environment, "SMOLLM": str(folder / "smollm")},
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    counts = {word: sum(map(int, re.findall(rf"^(?:#|ℹ) {word} (\d+)", output, re.M))) for word in ("pass", "fail")}
    bad = max(counts["fail"], int(status != 0 or counts["pass"] == 0))
    if bad:  # each failed test with what it says of itself
        failures = re.findall(r"^ *not ok .*\n(?:(?! *(?:not )?ok |# Subtest).*\n)*", output, re.M)
        say("".join(failures) or output[-6000:])
    return counts["pass"], bad


# Older CPUs than this one: the x86-64 program itself, and the kernels that it must choose there.
X86_CPUS = {"Nehalem": ["generic"], "Haswell": ["generic", "avx2"]}


def emulated_test(command, kernels):
    """The selftest must say that all of its hashes are right, and have run just these kernels. "" or what is wrong."""
    try:
        status, output = run_limited(*command, limit=EMULATED_LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        return f"{error} (scripts/install-packages.sh test installs it)"
    found = re.findall(r"^ok +matmul of every type, kernels (\w+)$", output, re.M)
    models = re.findall(r"^ok +model, kernels (\w+), 1 thread,", output, re.M)
    return "" if status == 0 and found == models == kernels else output[-3000:] or f"ended with {status}"


def emulate(folder):
    """Same bits on other CPUs: the selftest knows the hashes that every CPU must come to. Faults by name of the CPU."""
    tests = {}
    if platform.machine() == "x86_64":
        for cpu, kernels in X86_CPUS.items():
            tests[f"x86-64, {cpu}"] = ([*LOWEST, "qemu-x86_64", "-cpu", cpu, folder / "smollm", "selftest"], kernels)
    cross = ROOT / "build-aarch64"
    if platform.machine() != "aarch64":
        build(cross, "--cross-file", "tests/emulated/aarch64.ini", "-Dcore_only=true", prefix=LOWEST)
        program = cross / "tests" / "emulated" / "selftest"
        tests["aarch64"] = ([*LOWEST, "qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", program], ["generic"])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
        return dict(zip(tests, executor.map(lambda test: emulated_test(*test), tests.values())))


def emulated_tests(faults):
    for name, fault in faults.items():
        say(f"  {name:24} {'failed' if fault else 'passed'}")
        if fault:
            say(fault)
    bad = sum(map(bool, faults.values()))
    return len(faults) - bad, bad


def storms(folder, environment, *options):
    """tests/storms.py tells of each storm by itself."""
    statuses = [run_limited(VENV / "bin" / "python", "tests/storms.py", "--only", name, *options, limit=STORM_LIMIT,
                            env={**environment, "SMOLLM": str(folder / "smollm")})[0] for name in STORMS]
    return statuses.count(0), len(statuses) - statuses.count(0)


def closing_test(folder, environment):
    """An engine closed thousands of times while other threads read."""
    test = {"cmd": [folder / "tests" / "library" / "test_closing", CLOSINGS]}
    good, bad, seconds, output = unit_test(test, STORM_LIMIT, environment)
    say(f"  closing, {CLOSINGS} rounds in {seconds:.0f} s" + (f"\n{output}" if bad else ""))
    return good, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=PARTS)
    options = parser.parse_args()
    plain, asan, tsan = ROOT / "build", ROOT / "build-asan", ROOT / "build-tsan"
    build(plain)
    prepare_python()
    environment = {**os.environ, "SMOLLM_TEST_MODEL": output_of("fetch-model.sh"),
                   "SMOLLM_LLAMA3_TOKENIZER": output_of("fetch-llama3-tokenizer.sh"),
                   "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
    parts = {"unit": lambda: unit_tests(plain, environment),
             "python": lambda: python_tests(plain, environment),
             "page": lambda: page_tests(plain, environment),
             "emulated": lambda: emulated_tests(emulated.result()),
             "asan-unit": lambda: unit_tests(asan, environment, slowness=4),
             "asan-python": lambda: python_tests(asan, environment),
             "storms": lambda: storms(plain, environment),
             "tsan-storms": lambda: map(sum, zip(
                 storms(tsan, environment, "--quick"), python_tests(tsan, environment, *PASSES),
                 closing_test(tsan, environment)))}
    def wanted(name):
        return name in options.only if options.only else name not in ON_DEMAND and not (options.quick and name.startswith("asan"))

    total = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        # Much of the black-box tests is waiting: what needs only a processor takes what they leave.
        built = executor.submit(build, asan, *ASAN, prefix=LOWEST) if any(map(wanted, ("asan-unit", "asan-python"))) else None
        emulated = executor.submit(emulate, plain) if wanted("emulated") else None
        for name in filter(wanted, parts):
            if name.startswith("asan"):
                built.result()
            if name.startswith("tsan"):
                build(tsan, *TSAN)
            say(f"== {name}")
            begin = time.monotonic()
            passed, failed = parts[name]()
            total[0] += passed
            total[1] += failed
            say(f"   {passed} passed, {failed} failed in {time.monotonic() - begin:.0f} s")
    say(f"{total[0]} passed, {total[1]} failed")
    sys.exit(total[1] > 0)


main()
