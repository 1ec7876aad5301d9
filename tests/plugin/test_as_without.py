"""What a program can see of threads is what it would see without the plugin; and what has ended one is told."""

from __future__ import annotations

import os
import sys

import pytest
from project import UNHURRIED, fails, module, passes, run_programs, run_project, run_pytest

pytest_plugins = ["pytester"]

PROGRAMS = {
    "functions written in C can be kept, compared and pickled": """
        import copy
        import pickle
        from datetime import date, datetime
        from functools import partial

        @pytest.mark.concurrency(schedules=10)
        def test_program():
            for function in (time.sleep, time.monotonic, time.time_ns, datetime.now, date.today, os.urandom):
                again = pickle.loads(pickle.dumps(function))
                assert again == function and copy.deepcopy(function) == function
                assert again.__name__ == function.__name__ and repr(again) == repr(function)
                assert {again: 1}[function] == 1
            before = time.monotonic()
            partial(time.sleep, 0.01)()
            assert time.monotonic() >= before + 0.01
    """,
    "who keeps a clock has one that goes on": """
        from datetime import datetime

        KEPT = []

        @pytest.mark.concurrency(schedules=10)
        def test_program(concur):
            if not KEPT:
                KEPT.extend([time.time, time.monotonic, time.perf_counter_ns, datetime.now])
            before, sleep = time.monotonic, time.sleep
            time.monotonic, time.sleep = lambda: 0.0, print
            concur.run(int, int)
            time.monotonic, time.sleep = before, sleep

        def test_behind():
            began = time.monotonic()
            assert all(kept() for kept in KEPT)
            time.sleep(0.01)
            assert time.monotonic() >= began + 0.01
    """,
    "a thread that has ended is nobody's": """
        import gc
        import weakref

        @pytest.mark.concurrency(schedules=10)
        def test_program():
            seen = []
            thread = threading.Thread(target=lambda: seen.append(weakref.ref(threading.current_thread())))
            thread.start()
            thread.join()
            del thread
            gc.collect()
            assert seen[0]() is None
    """,
    "a lock that one task takes and another releases is a signal": """
        import _thread

        @pytest.mark.concurrency(schedules=10)
        def test_program():
            done = _thread.allocate_lock()
            done.acquire()
            _thread.start_new_thread(done.release, ())
            done.acquire()
    """,
}
if sys.version_info >= (3, 12):  # before, code that is run for the first time is found by a profile function
    PROGRAMS["nobody looks on"] = """
        @pytest.mark.concurrency(schedules=10)
        def test_program():
            seen = []
            thread = threading.Thread(target=lambda: seen.append((sys.getprofile(), sys.gettrace())))
            thread.start()
            thread.join()
            assert seen == [(None, None)]
            assert sys.getprofile() is None
    """
if sys.version_info >= (3, 13):
    PROGRAMS["a joinable thread has a handle"] = """
        import _thread

        @pytest.mark.concurrency(schedules=10)
        def test_program():
            seen = queue.Queue()
            handle = _thread.start_joinable_thread(lambda: seen.put(threading.get_ident()))
            assert seen.get() == handle.ident
    """


def test_all_is_as_without(pytester):
    programs = run_programs(pytester, {name: module(text) for name, text in PROGRAMS.items()}, UNHURRIED)

    assert programs.misjudged(lambda _, test: passes(test)) == {}, programs.result.output
    without = run_pytest(pytester, *programs.files.values(), "--concur=off")
    assert without.outcomes == programs.result.outcomes == {"passed": len(PROGRAMS) + 1}


SERVED_IN_VAIN = """
    @pytest.mark.concurrency(schedules=5)
    def test_program():
        {opening}

        def serve():
            raise ValueError("out of order")

        thread = threading.Thread(target=serve)
        thread.start()
        {waiting}
        thread.join()
"""


def test_a_deadlock_tells_what_has_ended_others(pytester):
    """Whoever is waited for may be the one that has gone."""
    text = SERVED_IN_VAIN.format(opening="answers = queue.Queue()", waiting="answers.get()")

    result = run_project(pytester, module(text))

    assert fails(result.only, {"deadlock"}), result.output
    assert "serve has ended with ValueError: out of order (test_program.py:" in result.output


def test_an_exception_that_cannot_tell_itself_leaves_nothing_behind(pytester):
    """It is asked when the run is over, and the lock that its thread has left taken is free."""
    text = """
        LOCK = threading.Lock()

        class Mute(Exception):
            def __str__(self):
                raise AttributeError("nothing to say")

        @pytest.mark.concurrency(schedules=5)
        def test_program():
            answers = queue.Queue()

            def serve():
                LOCK.acquire()
                raise Mute

            thread = threading.Thread(target=serve)
            thread.start()
            answers.get()

        def test_next():
            assert LOCK.acquire(timeout=1)
    """

    result = run_project(pytester, module(text))

    assert fails(result.only, {"deadlock"}), result.output
    assert "serve has ended with Mute: <exception str() failed>" in result.output
    assert result.outcomes == {"failed": 1, "passed": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a wait for a pipe cannot be interrupted")
def test_what_has_ended_a_thread_is_told_though_nobody_comes_back(pytester):
    """The body waits for a pipe for ever; the run is given up, and fails for what is known."""
    text = SERVED_IN_VAIN.format(opening="reading, writing = os.pipe()", waiting="os.read(reading, 1)")

    result = run_project(pytester, module(text))

    assert fails(result.only, {"sequential-failure"}), result.output
    assert result.findings[0].summary == "thread serve ended with ValueError: out of order"


def test_a_thread_that_ends_because_others_had_no_turn_is_no_finding(pytester):
    """It waits in C, for less long than it takes until others get a turn: in step with real time it has its answer."""
    text = """
        import select

        @pytest.mark.concurrency(schedules=3)
        def test_program():
            (asked, asking), (reading, writing) = os.pipe(), os.pipe()

            def answer():
                if not select.select([asked], [], [], 0.3)[0]:
                    raise RuntimeError("nothing came")
                os.write(writing, b"x")

            threads = [threading.Thread(target=answer), threading.Thread(target=os.write, args=(asking, b"x"))]
            for thread in threads:
                thread.start()
            assert os.read(reading, 1) == b"x"
            for thread in threads:
                thread.join()
            for each in (asked, asking, reading, writing):
                os.close(each)
    """

    result = run_project(pytester, module(text), UNHURRIED)

    assert (result.verdict, result.findings) == ("inconclusive", ()), result.output


INTERPRETERS = f"""
    import _{"interpreters" if sys.version_info >= (3, 13) else "xxsubinterpreters"} as interpreters
"""

BESIDE = (
    INTERPRETERS
    + """
    IDLE = interpreters.create()

    @pytest.mark.concurrency(schedules=20)
    def test_program(concur):
        a, b = threading.Lock(), threading.Lock()

        def nest(first, second):
            with first:
                with second:
                    pass

        concur.run(lambda: nest(a, b), lambda: nest(b, a))
"""
)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters share their memory")
def test_an_interpreter_beside_that_does_nothing_hides_no_deadlock(pytester):
    assert fails(run_project(pytester, module(BESIDE)).only, {"deadlock"})


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters share their memory")
def test_interpreters_beside_take_nothing_down(pytester):
    """CPython would make frame objects of their threads in our memory, and free them in theirs."""
    text = (
        INTERPRETERS
        + """
    @pytest.mark.concurrency(schedules=3)
    def test_program():
        beside = interpreters.create()
        run = getattr(interpreters, "exec", None) or interpreters.run_string
        for _ in range(20):
            run(beside, "import threading; thread = threading.Thread(target=print); thread.start(); thread.join()")
        interpreters.destroy(beside)
    """
    )

    result = run_project(pytester, module(text), UNHURRIED)

    assert result.verdict in ("passed", "inconclusive"), result.output
    assert result.outcomes.keys() <= {"passed", "warnings"}


@pytest.mark.parametrize("conftest", ["", "import gc\nimport queue\n\ngc.freeze()\n"], ids=["not frozen", "frozen"])
def test_the_heap_stays_frozen_or_not(pytester, conftest):
    """Who freezes it, before a fork for instance, gets the same verdict, and finds it frozen afterwards."""
    (pytester.path / "conftest.py").write_text(conftest, encoding="utf-8")
    text = module(
        """
        import gc


        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            channel = queue.Queue(maxsize=1)
            concur.run(lambda: [channel.put(number) for number in range(2)], lambda: [channel.get(), channel.get()])


        def test_afterwards():
            assert (gc.get_freeze_count() > 1000) is IS_FROZEN  # CPython 3.12 has some frozen itself
        """
    )
    (pytester.path / "test_program.py").write_text(text.replace("IS_FROZEN", str(bool(conftest))), encoding="utf-8")

    result = run_pytest(pytester, UNHURRIED, fresh=True)

    assert passes(result.only), result.output
    assert result.outcomes == {"passed": 2}
