"""Each finding says whether this interpreter's GIL lets it happen."""

from __future__ import annotations

import pytest
from project import UNHURRIED, module, replay, run_project

pytest_plugins = ["pytester"]

PROGRAM = """
    import copy


    def increment(box, lock):
        box.n += 1


    def call_of_c_code(box, lock):
        box.n = int(box.n) + 1


    def call_of_a_library(box, lock):
        box.n = copy.copy(box.n) + 1


    def starred_call(box, lock):
        box.n = max(*[box.n, 0]) + 1


    def leaving_a_lock(box, lock):
        with lock:
            n = box.n
        box.n = n + 1


    def entering_a_lock(box, lock):
        n = box.n
        with lock:
            box.n = n + 1


    def loop(box, lock):
        n = box.n
        for i in (1,):
            n += i
        box.n = n


    FUNCTIONS = [
        increment, call_of_c_code, call_of_a_library, starred_call, leaving_a_lock, entering_a_lock, loop,
    ]


    @pytest.mark.concurrency({arguments})
    @pytest.mark.parametrize("add", FUNCTIONS, ids=lambda function: function.__name__)
    def test_program(concur, add):
        box, lock = Box(), threading.Lock()
        box.n = 0
        concur.run(lambda: add(box, lock), lambda: add(box, lock))
        assert box.n == 2
"""

SAFE = {"increment", "entering_a_lock"}
"""No GIL build can switch between the read and the write.

``with lock`` gives the GIL away only if another task holds the lock, and here no task is interrupted while it does.
"""


def kinds_of_failures(test):
    return {finding.kind: finding.gil for finding in test.findings if finding.kind != "data-race"}


def test_labels(pytester):
    """A lost update is labelled by what comes between its read and its write."""
    result = run_project(pytester, module(PROGRAM.format(arguments="")), UNHURRIED)

    for test in result.tests:
        is_safe = test.nodeid.partition("[")[2].rstrip("]") in SAFE
        assert kinds_of_failures(test) == {"assertion": "not-reached" if is_safe else "reachable"}, test.nodeid
    assert len(result.tests) == 7


@pytest.mark.parametrize("strategy", ["random", "surw"])
def test_search(pytester, strategy):
    """With ``granularity="gil"`` exactly those are found, and replayed, that are labelled reachable."""
    arguments = f"granularity='gil', schedules=200, strategy='{strategy}'"
    result = run_project(pytester, module(PROGRAM.format(arguments=arguments)), UNHURRIED)

    for test in result.tests:
        is_safe = test.nodeid.partition("[")[2].rstrip("]") in SAFE
        assert kinds_of_failures(test) == ({} if is_safe else {"assertion": "reachable"}), test.nodeid
    found = next(test for test in result.tests if test.findings)
    assert replay(pytester, found.nodeid, found.findings[0].token).kinds == ("assertion",)


def test_nested_locks_are_taken_without_a_switch(pytester):
    """``with a, b`` against ``with b, a``: a GIL build takes both at once; with a call in between it may deadlock."""
    text = """
        @pytest.mark.concurrency
        @pytest.mark.parametrize("work", [lambda: None, None])
        def test_program(concur, work):
            a, b = threading.Lock(), threading.Lock()

            def nest(first, second):
                with first:
                    if work:
                        work()
                    with second:
                        pass

            concur.run(lambda: nest(a, b), lambda: nest(b, a))
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert [kinds_of_failures(test) for test in result.tests] == [
        {"deadlock": "reachable"},
        {"deadlock": "not-reached"},
    ]


BEHIND_LIBRARY_CALLS = """
    class Early:
        def __init__(self):
            self.thread = threading.Thread(target=self.run)
            self.thread.start()
            self.items = []

        def run(self):
            self.items.append(1)


    @pytest.mark.concurrency({arguments})
    def test_start():
        Early().thread.join()


    @pytest.mark.concurrency({arguments})
    def test_set(concur):
        box, event = Box(), threading.Event()

        def tell():
            event.set()
            box.x = 1

        def listen():
            event.wait()
            assert box.x == 1

        concur.run(tell, listen)


    @pytest.mark.concurrency({arguments})
    def test_put(concur):
        box, items = Box(), queue.Queue()

        def tell():
            items.put(1)
            box.x = 1

        def listen():
            items.get()
            assert box.x == 1

        concur.run(tell, listen)
"""


@pytest.mark.parametrize("arguments", ["", "granularity='gil'"])
def test_another_thread_may_go_on_behind_a_call_that_frees_a_lock(pytester, arguments):
    """``Thread.start`` and the like are written in Python and take locks: plain runs fail so, the first in each run."""
    result = run_project(pytester, module(BEHIND_LIBRARY_CALLS.format(arguments=arguments)), UNHURRIED)

    assert len(result.tests) == 3
    for test in result.tests:
        assert set(kinds_of_failures(test).values()) == {"reachable"}, test.nodeid
