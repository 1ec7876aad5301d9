"""Ctrl-C, or a time-out by a signal, at any moment of the exploration: the test ends at once and leaves nothing behind.

The moments are chosen by chance; each of them is to be survived.
"""

from __future__ import annotations

import re

import pytest
from project import ORIGINALS, module, run_project

pytest_plugins = ["pytester"]

BELL = """
import random
import signal

moments = random.Random()
is_set = False


class Rings(KeyboardInterrupt):
    pass


def ring(number, frame):
    raise Rings


def set_once():
    global is_set
    if not is_set:
        is_set = True
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.01, 0.2))


def stop():
    global is_set
    signal.setitimer(signal.ITIMER_REAL, 0)
    is_set = False
"""

AROUND = """
import threading
import time

import bell
import originals
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    begin = time.perf_counter()
    rang = False
    try:
        return (yield)
    except KeyboardInterrupt:  # also in the place of one that a finalizer could not raise
        rang = True
    finally:
        bell.stop()
        assert time.perf_counter() - begin < 10
        while threading.active_count() > 1:  # threads of the plugin's own end a moment later
            assert time.perf_counter() - begin < 10, threading.enumerate()
            time.sleep(0.01)
        assert originals.left_patched() == []
        if rang:
            pytest.fail("it rang")
"""

PROGRAMS = """
    import subprocess

    import bell

    endless = pytest.mark.concurrency(schedules=10**6, seconds=2, strategy="random")
    times = pytest.mark.parametrize("number", range({times}))


    @endless
    @times
    def test_threads(number):
        bell.set_once()
        lock, box = threading.Lock(), Box()

        def add():
            with lock:
                box.x += 1

        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert box.x == 2


    @endless
    @times
    def test_tasks(concur, number):
        bell.set_once()
        items = queue.Queue(1)

        def put():
            for number in range(2):
                items.put(number)

        def get():
            assert [items.get(), items.get()] == [0, 1]

        concur.run(put, get)


    @endless
    @times
    def test_in_step_with_real_time(concur, number):
        bell.set_once()
        process = subprocess.Popen(["sleep", "0.02"])
        concur.run(lambda: time.sleep(0.03), lambda: time.sleep(0.05))
        process.wait()

"""


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_interrupted_at_any_moment(pytester: pytest.Pytester, times: int) -> None:
    """Each test ends with what the handler raised, within seconds, and the next one is none the worse.

    A ``with`` that ends what had not quite begun may raise something else in its place. That is no finding, and the
    search goes on: once in 200 interruptions. If it were one in twenty, six of ten would go like this with a chance of
    three in a million.
    """
    for name, text in (("bell", BELL), ("conftest", AROUND), ("originals", ORIGINALS)):
        (pytester.path / f"{name}.py").write_text(text, encoding="utf-8")

    result = run_project(pytester, module(PROGRAMS.replace("{times}", str(times))), "--tb=line", hang_s=60 + 9 * times)

    rang = len(re.findall(r"conftest\.py:\d+: Failed: it rang", result.output))
    assert rang == result.outcomes["failed"], result.output
    assert rang + result.outcomes.get("passed", 0) == 3 * times, result.output
    assert rang > 0.4 * 3 * times, result.output
