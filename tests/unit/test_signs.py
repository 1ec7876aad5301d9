"""Which calls show that a run has to do with the world outside."""

from __future__ import annotations

import io
import linecache
import os
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_concur.engine.frames import site_of
from pytest_concur.engine.outside import Signs


def compute():
    numbers = sorted(range(10), key=lambda number: -number)
    return "".join(map(str, numbers)).encode().hex()


def write_in_memory():
    with io.BytesIO() as file:
        file.write(b"x")


def pair():
    here, there = socket.socketpair()
    here.close()
    there.close()


class Settings(dict):
    def update(self, *args):
        super().update(*args)


@pytest.mark.parametrize(
    ("action", "kinds"),
    [
        (compute, set()),
        (write_in_memory, set()),
        (os.getpid, set()),
        (lambda: Settings(a=1).update({"b": 2}), set()),
        (lambda: Settings.fromkeys("ab").setdefault("c", 3), set()),
        (lambda: time.monotonic(), {"clock"}),
        (lambda: datetime.now(UTC), {"clock"}),
        (lambda: time.process_time(), {"clock"}),
        (lambda: time.gmtime(0).tm_year + len(time.tzname), {"clock"}),
        (lambda: Path("missing").exists(), {"files"}),
        (lambda: list(Path().iterdir()), {"files"}),
        (lambda: os.close(os.open(os.devnull, os.O_RDONLY)), {"locks", "files"}),
        (lambda: sqlite3.connect(":memory:").close(), {"locks"}),
        (pair, {"others"}),
        (lambda: subprocess.run([sys.executable, "-S", "-c", ""], check=True), {"others", "files"}),
    ],
)
def test_kinds(action, kinds):
    """Calls of functions written in C tell, whoever makes them."""
    signs = Signs(lambda frame: True)

    with signs.looking_on():
        action()

    assert signs.kinds - {"clock"} == kinds - {"clock"}
    assert signs.kinds >= kinds


def test_whoever_looks_on_already_goes_on():
    """A profiler of the user's sees the same calls, and is the only one again afterwards."""
    seen = []

    def profile(frame, event, argument):
        seen.append(event)

    sys.setprofile(profile)
    try:
        with Signs(lambda frame: True).looking_on():
            time.monotonic()
        is_restored = sys.getprofile() is profile
    finally:
        sys.setprofile(None)

    assert is_restored
    assert "c_call" in seen


def test_what_the_engine_reads_is_no_sign():
    """Where a switch came is told by the text of its line, which is read from the file."""
    me = sys._getframe().f_code
    signs = Signs(lambda frame: frame.f_code is me)
    linecache.clearcache()
    with signs.looking_on():
        site = site_of(sys._getframe())

    assert "site = site_of(sys._getframe())" in site
    assert not signs.kinds
