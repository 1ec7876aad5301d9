"""Tasks of a later run may have the threads of an earlier one, and find nothing of it."""

from __future__ import annotations

import pytest
from project import module, run_project

TESTS = module(
    """
    import contextvars
    import decimal

    from helper import threads_there_are
    from pytest_concur.engine.carrier import _carriers

    LOCAL = threading.local()
    VARIABLE = contextvars.ContextVar("VARIABLE", default=0)
    RESTING = []

    @pytest.mark.concurrency(schedules=50, outcome="any")
    def test_locals_begin_empty(concur):
        def work():
            assert not hasattr(LOCAL, "seen")
            LOCAL.seen = True

        concur.run(work, work, work)

    @pytest.mark.concurrency(schedules=50, outcome="any")
    def test_contexts_begin_empty(concur):
        def work():
            assert VARIABLE.get() == 0
            VARIABLE.set(1)
            assert decimal.getcontext().prec == 28
            decimal.getcontext().prec = 5

        handle = concur.start(work)
        concur.run(work, work)
        handle.result()

    @pytest.mark.concurrency(schedules=50, outcome="any")
    def test_locals_end_with_their_run(concur):
        lock, ended = threading.Lock(), []

        class Kept:
            def __del__(self):
                with lock:
                    ended.append(1)

        def work():
            with lock:
                LOCAL.kept = Kept()

        concur.run(work, work)

    @pytest.mark.concurrency(schedules=50, outcome="any")
    def test_they_rest(concur):
        RESTING.append(sum(each.rests for each in _carriers.values()))
        concur.run(lambda: None, lambda: None)

    def test_none_is_left():
        assert max(RESTING) == (0 if "ctypes" in sys.modules else 2)  # used again, or the others say nothing
        for _ in range(500):  # one may be about to go
            if not threads_there_are():
                break
            time.sleep(0.01)
        else:
            pytest.fail("threads are left")
    """
)

HELPER = """
import _thread


def threads_there_are():
    return _thread._count()
"""
"""A module of its own: threads are not used again by tests of one that mentions ``_thread``."""

COUNTED = module(
    """
    from time import thread_time as spent

    @pytest.mark.concurrency(schedules=300, outcome="any")
    def test_time(concur):
        def work():
            assert spent() < 0.05
            sum(range(2000))

        concur.run(work, work)

    @pytest.mark.concurrency(schedules=5, outcome="any")
    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system keeps no such thing for a thread")
    def test_place(concur):
        def work():
            assert os.getpriority(os.PRIO_PROCESS, 0) == 0
            os.setpriority(os.PRIO_PROCESS, 0, 1)

        concur.run(work, work)

    @pytest.mark.concurrency(schedules=5, outcome="any")
    def test_all_threads(concur):
        before = len(sys._current_frames())
        concur.run(lambda: None, lambda: None)
        for _ in range(100):
            if len(sys._current_frames()) <= before:
                break
            threading.Lock().acquire(timeout=0.01)
        else:
            pytest.fail("threads are left")
    """
)


def test_tasks_find_nothing_of_an_earlier_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(helper=HELPER)
    ran = run_project(pytester, TESTS)
    assert ran.outcomes == {"passed": 5}, ran.output


def test_threads_are_new_where_a_library_may_keep_something_in_them(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(helper=HELPER)
    ran = run_project(pytester, "import ctypes\n" + TESTS)
    assert ran.outcomes == {"passed": 5}, ran.output


def test_threads_are_new_where_the_test_looks_at_what_cannot_be_taken_back(pytester: pytest.Pytester) -> None:
    ran = run_project(pytester, COUNTED)
    assert ran.outcomes == {"passed": 3}, ran.output
