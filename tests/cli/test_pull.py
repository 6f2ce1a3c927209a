"""pull, against a server that misbehaves in every way that a download must survive."""
import email.utils
import hashlib
import http.server
import json
import os
import pathlib
import re
import resource
import signal
import socketserver
import subprocess
import sys
import threading
import time

import pytest

from conftest import assert_one_line_error

FAST = ("--stall-seconds", "2", "--pause-seconds", "0.1")


class Site:
    """What the server does; a test changes it. `log` has (path, Range, If-Range, status) of each request."""

    def __init__(self, content):
        self.content = content
        self.etag = '"version-1"'
        self.linked = True  # size and SHA-256 as model hubs announce them
        self.linked_size = None
        self.linked_sha = None
        self.ranges = True
        self.range_shift = 0  # answers with another range than was asked for
        self.chunked = False
        self.cut_at = []  # bytes of the body after which each of the next responses breaks off
        self.statuses = []  # answers before the first real one
        self.stall = []  # seconds to hang after half of the body
        self.pace = 0  # seconds to wait per 64 kB
        self.log = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def respond(self, status, headers):
        self.server.site.log.append((self.path, self.headers.get("Range"), self.headers.get("If-Range"), status))
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, str(value))
        self.end_headers()

    def do_GET(self):
        site = self.server.site
        if self.path.startswith("/loop"):
            return self.respond(302, {"Location": "/loop" + str(time.time_ns()), "Content-Length": 0})
        if self.path.startswith("/hub/"):
            digest = site.linked_sha or hashlib.sha256(site.content).hexdigest()
            announced = {"X-Linked-Size": site.linked_size or len(site.content), "X-Linked-ETag": f'"{digest}"'}
            return self.respond(302, {**(announced if site.linked else {}), "Location": "/blob?name=" + self.path[5:],
                                      "Content-Length": 0})
        if self.path.startswith("/away/"):
            return self.respond(302, {"Location": "file:///etc/passwd", "Content-Length": 0})
        if not self.path.startswith(("/blob", "/direct/")):
            page = b"<html>not here</html>"
            self.respond(404, {"Content-Length": len(page)})
            return self.wfile.write(page)
        if site.statuses:
            self.respond(site.statuses.pop(0), {"Content-Length": 4})
            return self.wfile.write(b"busy")
        self.send_content(site)

    def send_content(self, site):
        body, status, headers = site.content, 200, {}
        if site.etag:
            headers["ETag"] = site.etag
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and site.ranges and self.headers.get("If-Range") in (None, site.etag):
            begin = int(wanted[1])
            if begin >= len(body):
                return self.respond(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": 0})
            begin += site.range_shift
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            body, status = body[begin:], 206
        if not site.chunked:
            headers["Content-Length"] = len(body)
        else:
            headers["Connection"] = "close"
            self.close_connection = True
        self.respond(status, headers)
        cut = site.cut_at.pop(0) if site.cut_at else None
        stall = site.stall.pop(0) if site.stall else 0
        try:
            for at in range(0, len(body), 65536):
                piece = body[at : at + 65536]
                if cut is not None and at + len(piece) > cut:
                    self.wfile.write(piece[: max(0, cut - at)])
                    self.wfile.flush()
                    self.close_connection = True
                    return
                self.wfile.write(piece)
                if site.pace:
                    time.sleep(site.pace)
                if stall and at >= len(body) // 2:
                    time.sleep(stall)
                    stall = 0
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    """A model of about 3 MB."""
    from make_model import make_model

    path = tmp_path_factory.mktemp("content") / "model.gguf"
    make_model(path, arch="llama", type="F16", layers=3)
    return path.read_bytes()


@pytest.fixture
def site(content):
    server = Server(("127.0.0.1", 0), Handler)
    server.site = Site(content)
    server.site.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.site
    server.shutdown()
    server.server_close()


def check_complete(smollm, result, content, name="model.gguf"):
    assert result.returncode == 0, result.stderr
    assert result.stderr == "" and result.stdout == f"{smollm.models / name}\n"
    assert (smollm.models / name).read_bytes() == content
    assert left_over(smollm) == [name]
    assert (smollm.models / (name + ".url")).read_text().startswith("http://127.0.0.1:")


def left_over(smollm):
    """What is in the cache, but for the notes of where it came from."""
    return sorted(p.name for p in smollm.models.iterdir() if p.suffix != ".url")


def test_a_plain_download(smollm, site, content):
    check_complete(smollm, smollm.run("pull", site.url + "/direct/model.gguf?download=true"), content)
    # Once there it is not asked for again.
    requests = len(site.log)
    check_complete(smollm, smollm.run("pull", site.url + "/direct/model.gguf"), content)
    assert len(site.log) == requests


def test_through_a_hub(smollm, site, content):
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf"), content)


@pytest.mark.parametrize("path,name", [("/direct/..%2f..%2fevil.gguf", "evil.gguf"), ("/direct/.hidden", "hidden.gguf"),
                                       ("/direct/a%20b%c3%a9%3b.gguf", "a_b___.gguf"), ("/direct/x.bin", "x.bin.gguf")])
def test_file_names_are_made_safe(smollm, site, content, path, name):
    check_complete(smollm, smollm.run("pull", site.url + path), content, name)


def test_addresses_without_a_file_name(smollm, site):
    for address in (site.url, site.url + "/", site.url + "/direct/", site.url + "/direct/a%0a.gguf", "ftp://127.0.0.1/x.gguf", "nonsense"):
        assert_one_line_error(smollm.run("pull", address))
    assert site.log == []


def test_a_connection_that_breaks_is_resumed(smollm, site, content):
    site.cut_at = [1_000_000, 700_000, 1, 0]
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf", *FAST), content)
    ranges = [(r, i) for p, r, i, _ in site.log if p.startswith("/blob")]
    assert ranges == [(None, None), ("bytes=1000000-", '"version-1"'), ("bytes=1700000-", '"version-1"'),
                      ("bytes=1700001-", '"version-1"'), ("bytes=1700001-", '"version-1"')]


def test_an_interrupted_run_is_resumed_by_the_next(smollm, site, content):
    site.pace = 0.05
    process = smollm.start("pull", site.url + "/hub/model.gguf")
    part = smollm.models / "model.gguf.part"
    while not (part.exists() and part.stat().st_size > 300_000):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130 and "are kept" in errors
    have = part.stat().st_size
    assert part.read_bytes() == content[:have]
    site.pace = 0
    site.log.clear()
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf"), content)
    assert site.log[-1][1:] == (f"bytes={have}-", '"version-1"', 206)


def test_a_killed_run_is_resumed_by_the_next(smollm, site, content):
    site.pace = 0.05
    process = smollm.start("pull", site.url + "/direct/model.gguf")
    part = smollm.models / "model.gguf.part"
    while not (part.exists() and part.stat().st_size > 300_000):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    site.pace = 0
    check_complete(smollm, smollm.run("pull", site.url + "/direct/model.gguf"), content)
    assert site.log[-1][3] == 206


def test_a_complete_part_needs_only_its_check(smollm, site, content):
    smollm.models.mkdir(parents=True)
    (smollm.models / "model.gguf.part").write_bytes(content)
    (smollm.models / "model.gguf.part.tag").write_text('"version-1"\n')
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf"), content)
    assert site.log[-1][3] == 416


@pytest.mark.parametrize("part", [b"x" * 5_000_000, b"GGUF" + b"y" * 1000], ids=["longer", "shorter"])
def test_a_part_of_something_else_is_not_kept(smollm, site, content, part):
    """Without a tag nobody knows what it is a part of; with another tag it is of another version."""
    smollm.models.mkdir(parents=True)
    (smollm.models / "model.gguf.part").write_bytes(part)
    check_complete(smollm, smollm.run("pull", site.url + "/direct/model.gguf", *FAST), content)
    (smollm.models / "model.gguf").unlink()
    (smollm.models / "model.gguf.part").write_bytes(part)
    (smollm.models / "model.gguf.part.tag").write_text('"version-0"\n')
    check_complete(smollm, smollm.run("pull", site.url + "/direct/model.gguf", *FAST), content)


def test_a_part_longer_than_the_file(smollm, site, content):
    smollm.models.mkdir(parents=True)
    (smollm.models / "model.gguf.part").write_bytes(content + b"x")
    (smollm.models / "model.gguf.part.tag").write_text('"version-1"\n')
    check_complete(smollm, smollm.run("pull", site.url + "/direct/model.gguf", *FAST), content)


def test_a_server_without_ranges_starts_again(smollm, site, content):
    site.ranges = False
    site.cut_at = [2_000_000]
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf", *FAST), content)
    assert [status for p, _, _, status in site.log if p.startswith("/blob")] == [200, 200]


def test_another_range_is_not_taken(smollm, site, content):
    site.cut_at, site.range_shift = [2_000_000], 16
    result = smollm.run("pull", site.url + "/direct/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "another part of the file" in result.stderr
    assert (smollm.models / "model.gguf.part").read_bytes() == content[:2_000_000]


def test_a_file_that_changes_meanwhile_starts_again(smollm, site, content):
    site.cut_at = [2_000_000]
    process = smollm.start("pull", site.url + "/direct/model.gguf", "--pause-seconds", "1")
    while not site.log:
        time.sleep(0.02)
    site.etag = '"version-2"'
    site.content = content[:-1000] + bytes(1000)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert (smollm.models / "model.gguf").read_bytes() == site.content
    assert [status for *_, status in site.log] == [200, 200]


def test_chunked_without_a_length(smollm, site, content):
    site.chunked = True
    check_complete(smollm, smollm.run("pull", site.url + "/direct/model.gguf"), content)


def test_wrong_hash(smollm, site):
    site.linked_sha = "0123456789abcdef" * 4
    result = smollm.run("pull", site.url + "/hub/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "SHA-256" in result.stderr and "0123456789abcdef" in result.stderr
    assert left_over(smollm) == []


def test_damage_in_a_resumed_part_is_found(smollm, site, content):
    smollm.models.mkdir(parents=True)
    (smollm.models / "model.gguf.part").write_bytes(content[:1000] + b"?" + content[1001:2000])
    (smollm.models / "model.gguf.part.tag").write_text('"version-1"\n')
    result = smollm.run("pull", site.url + "/hub/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "damaged and was removed" in result.stderr
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf", *FAST), content)


@pytest.mark.parametrize("difference", [-1000, 1000])
@pytest.mark.parametrize("chunked", [False, True])
def test_wrong_size(smollm, site, content, difference, chunked):
    site.linked_size = len(content) + difference
    site.chunked = chunked
    result = smollm.run("pull", site.url + "/hub/model.gguf", *FAST)
    assert_one_line_error(result)
    # More than announced is noticed when it comes, not when the disk is full of it.
    assert ("sent more than" if chunked and difference < 0 else "announce") in result.stderr
    assert left_over(smollm) == []


def test_what_is_no_model(smollm, site):
    site.content = b"<html>Please log in</html>"
    result = smollm.run("pull", site.url + "/hub/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "no model that smollm reads" in result.stderr
    assert left_over(smollm) == []


def test_not_found(smollm, site):
    result = smollm.run("pull", site.url + "/nothing/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "404 (not found)" in result.stderr
    assert len(site.log) == 1 and left_over(smollm) == []


@pytest.mark.parametrize("statuses", [[500], [503, 429, 502]])
def test_a_busy_server_is_asked_again(smollm, site, content, statuses):
    site.statuses = list(statuses)
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf", *FAST), content)


def test_a_server_that_stays_broken(smollm, site):
    site.statuses = [500] * 100
    begin = time.monotonic()
    result = smollm.run("pull", site.url + "/direct/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "500" in result.stderr
    assert len(site.log) == 5
    assert time.monotonic() - begin > 0.1 + 0.2 + 0.4 + 0.8  # each pause is twice the one before
    assert left_over(smollm) == []


def test_a_server_that_always_breaks_off(smollm, site, content):
    site.cut_at = [1000] * 100
    result = smollm.run("pull", site.url + "/hub/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "gave up after 5 attempts" in result.stderr and "are kept" in result.stderr
    assert (smollm.models / "model.gguf.part").read_bytes() == content[:5000]


def test_redirects_end(smollm, site):
    result = smollm.run("pull", site.url + "/loop/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "redirect" in result.stderr.lower() and len(site.log) == 11


def test_no_redirect_to_local_files(smollm, site):
    result = smollm.run("pull", site.url + "/away/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "rotocol" in result.stderr
    assert left_over(smollm) == []


def test_a_stalled_server_is_left(smollm, site, content):
    site.stall = [30]
    begin = time.monotonic()
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf", *FAST), content)
    assert time.monotonic() - begin < 15
    assert site.log[-1][3] == 206


def test_nobody_listens(smollm):
    result = smollm.run("pull", "http://127.0.0.1:1/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "127.0.0.1" in result.stderr


def test_a_full_disk_keeps_what_there_is(smollm, site, content):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    result = smollm.run("pull", site.url + "/hub/model.gguf", *FAST, preexec_fn=limit)
    assert_one_line_error(result)
    assert "cannot write" in result.stderr and "are kept" in result.stderr
    have = (smollm.models / "model.gguf.part").stat().st_size
    assert 1_000_000 < have <= 1_500_000
    check_complete(smollm, smollm.run("pull", site.url + "/hub/model.gguf", *FAST), content)


def test_too_little_space_is_known_before(smollm, site):
    site.linked_size = 10**18
    site.chunked = True
    result = smollm.run("pull", site.url + "/hub/model.gguf", *FAST)
    assert_one_line_error(result)
    assert "free" in result.stderr and left_over(smollm) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_really_full_disk(smollm, site, tmp_path, content):
    smollm.models.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", smollm.models], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        site.linked, site.chunked = False, True  # nobody knows the size before
        result = smollm.run("pull", site.url + "/direct/model.gguf", *FAST)
        assert_one_line_error(result)
        assert "No space left on device" in result.stderr and "are kept" in result.stderr
        have = (smollm.models / "model.gguf.part").read_bytes()
        assert len(have) > 500_000 and have == content[: len(have)]
    finally:
        subprocess.run(["umount", smollm.models], check=True)


def as_nobody():
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_cache_that_cannot_be_used(smollm, site, mode, tmp_path_factory):
    # Where nobody can pass: pytest's directories are the user's own.
    base = pathlib.Path(tmp_path_factory.mktemp("open"))
    for parent in [base, *base.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    program = pathlib.Path(smollm.path).read_bytes()
    (base / "program").write_bytes(program)
    (base / "program").chmod(0o755)
    cache = base / "cache"
    (cache / "smollm").mkdir(parents=True)
    (cache / "smollm").chmod(mode)
    if mode == 0o000 and os.geteuid() != 0:
        cache.chmod(0o755)
    smollm.path = str(base / "program")
    smollm.environment["XDG_CACHE_HOME"] = str(cache)
    try:
        result = smollm.run("pull", site.url + "/direct/model.gguf", *FAST, preexec_fn=as_nobody)
        assert_one_line_error(result)
        assert "Permission denied" in result.stderr and str(cache) in result.stderr
        if mode == 0o000:
            result = smollm.run("inspect", preexec_fn=as_nobody)
            assert_one_line_error(result)
            assert "cannot read the cache directory" in result.stderr and "Permission denied" in result.stderr
    finally:
        (cache / "smollm").chmod(0o755)


def test_a_cache_that_is_a_file(smollm, site, tmp_path):
    (tmp_path / "cache").write_text("")
    result = smollm.run("pull", site.url + "/direct/model.gguf")
    assert_one_line_error(result)
    assert "cache directory" in result.stderr
    smollm.environment.pop("XDG_CACHE_HOME")
    smollm.environment.pop("HOME")
    result = smollm.run("pull", site.url + "/direct/model.gguf")
    assert_one_line_error(result)
    assert "neither XDG_CACHE_HOME nor HOME" in result.stderr


def test_two_at_once(smollm, site):
    site.pace = 0.1
    process = smollm.start("pull", site.url + "/direct/model.gguf")
    while not (smollm.models / "model.gguf.part").exists():
        time.sleep(0.02)
    result = smollm.run("pull", site.url + "/direct/model.gguf")
    site.pace = 0
    assert_one_line_error(result)
    assert "another smollm is downloading" in result.stderr
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_names(smollm):
    result = smollm.run("pull", "smollm2-135m")
    assert_one_line_error(result)
    assert "make run" in result.stderr
    result = smollm.run("pull", "gpt-5")
    assert_one_line_error(result)
    assert "smollm3-3b, smollm2-135m" in result.stderr
    assert_one_line_error(smollm.run("pull"), 2)


def test_the_bar_is_for_terminals_only(smollm, site, content):
    """On a terminal (a pseudo one) there is a bar, and it is gone at the end."""
    import pty

    site.pace = 0.02
    master, slave = pty.openpty()
    process = subprocess.Popen([smollm.path, "pull", site.url + "/hub/model.gguf"], stdout=subprocess.PIPE,
                               stderr=slave, env={**smollm.environment, "TERM": "xterm"})
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"downloading [" in seen and b"checking" in seen and b" %" in seen
    assert seen.endswith(b"\r\x1b[K")


def test_one_file_name_at_two_addresses(smollm, site, content):
    """Repositories call their files alike: each address has its own file, whichever came first."""
    first = smollm.run("pull", site.url + "/direct/a/model.gguf")
    check_complete(smollm, first, content)
    second = smollm.run("pull", site.url + "/direct/b/model.gguf")
    assert second.returncode == 0 and second.stderr == ""
    other = pathlib.Path(second.stdout.strip())
    assert re.fullmatch(r"model-[0-9a-f]{8}\.gguf", other.name) and other.read_bytes() == content
    requests = len(site.log)
    for address, path in (("a", first.stdout), ("b", second.stdout)):
        again = smollm.run("pull", f"{site.url}/direct/{address}/model.gguf")
        assert again.stdout == path and again.returncode == 0
    assert len(site.log) == requests
    # An address that does not answer is not one that does.
    assert_one_line_error(smollm.run("pull", "http://127.0.0.1:1/model.gguf", *FAST))
    # A password is not written down.
    secret = site.url.replace("http://", "http://user:secret@")
    third = smollm.run("pull", secret + "/direct/c/model.gguf")
    assert third.returncode == 0
    assert not any(b"secret" in note.read_bytes() for note in smollm.models.glob("*.url"))


def test_the_file_of_a_known_model_is_kept_for_it(smollm, site, content):
    result = smollm.run("pull", site.url + "/direct/SmolLM3-Q4_K_M.gguf")
    assert result.returncode == 0 and re.search(r"SmolLM3-Q4_K_M-[0-9a-f]{8}\.gguf\n$", result.stdout)
    assert not (smollm.models / "SmolLM3-Q4_K_M.gguf").exists()


def test_models_in_several_files(smollm, tmp_path, content):
    """The first part's address brings all of them; the model is there by its first name only when it is complete."""
    import gguf_file

    (tmp_path / "whole.gguf").write_bytes(content)
    parts = gguf_file.split(tmp_path / "whole.gguf", 3)
    asked = []

    class Parts(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Parts)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/model-0000%d-of-00003.gguf?download=true"
        second = smollm.run("pull", url % 2)
        assert_one_line_error(second)
        assert "first part" in second.stderr
        parts[1].rename(tmp_path / "away")
        assert_one_line_error(smollm.run("pull", url % 1, *FAST))
        assert not (smollm.models / parts[0].name).exists()
        (tmp_path / "away").rename(parts[1])
        result = smollm.run("pull", url % 1, *FAST)
        assert result.returncode == 0 and result.stdout == f"{smollm.models / parts[0].name}\n"
        assert left_over(smollm) == [part.name for part in parts]
        before = len(asked)
        assert smollm.run("pull", url % 1).stdout == result.stdout and len(asked) == before
        # One model, not three: it needs no name.
        assert json.loads(smollm.run("inspect", "--json").stdout)["architecture"] == "llama"
    finally:
        server.shutdown()
        server.server_close()
