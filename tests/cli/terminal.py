"""The program on a pseudo terminal, as a person has it."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

# How much longer things may take: sanitizers make the program slow.
PATIENCE = 8 if "san" in os.environ.get("SMOLLM_BUILD_DIR", "") else 1
PASTE = "\x1b[200~", "\x1b[201~"


def resize(descriptor, rows, columns):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
    """Runs a program whose standard descriptors are a terminal, in a session of its own; all of it ends with the block."""

    def __init__(self, *command, env, rows=24, columns=80, under_shell=False, paused=False):
        self.seen = b""
        self.at = 0
        self.master, slave = pty.openpty()
        resize(self.master, rows, columns)

        if paused:  # as Ctrl-S does: the program waits at its first output, for Ctrl-Q
            self.send("\x13")

        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        command = [str(part) for part in command]
        if under_shell:  # with job control: the only way to see a program stop
            command = ["bash", "--norc", "--noprofile", "-i", "-c", '"$@"; echo "status $?"; fg; echo "ended $?"', "bash", *command]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, preexec_fn=lead)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def send(self, text):
        os.write(self.master, text if isinstance(text, bytes) else text.encode())

    def read(self, seconds):
        """What comes next; empty when nothing does."""
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # the other side is closed
            piece = b""
        self.seen += piece
        return piece

    def wait_for(self, pattern, seconds=20):
        """Text up to and with the pattern, from where the last wait ended."""
        pattern = re.compile(pattern if isinstance(pattern, bytes) else pattern.encode())
        end = time.monotonic() + seconds
        while not (match := pattern.search(self.seen, self.at)):
            left = end - time.monotonic()
            assert left > 0, f"{pattern.pattern} did not come; since the last wait: {self.seen[self.at:]!r}"
            if not self.read(min(left, 0.2)) and self.process.poll() is not None and not self.read(0):
                assert pattern.search(self.seen, self.at), f"ended without {pattern.pattern}: {self.seen[self.at:]!r}"
        text = self.seen[self.at:match.end()]
        self.at = match.end()
        return text.decode(errors="replace")

    def wait_end(self, seconds=10):
        """The exit status, after all output."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        while self.read(0):
            pass
        assert self.process.returncode is not None, f"still there: {self.seen[-500:]!r}"
        return self.process.returncode

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def resize(self, rows, columns):
        resize(self.master, rows, columns)
        os.killpg(self.process.pid, signal.SIGWINCH)
