"""Packages that are installed beside the project: their locks are under control, and otherwise they are left alone."""

from __future__ import annotations

import textwrap

import pytest
from project import UNHURRIED, assert_fails, module, replay, run_project

PACKAGE = """
    import queue
    import threading
    import time
    from contextlib import contextmanager
    from queue import SimpleQueue


    class Guard:
        def __init__(self):
            self.lock = threading.Lock()
            self.condition = threading.Condition(self.lock)
            self.is_open = False

        def by_with(self, function):
            with self.lock:
                return function()

        def by_hand(self, function):
            self.lock.acquire()
            try:
                return function()
            finally:
                self.lock.release()

        def by_condition(self, function):
            with self.condition:
                return function()

        @contextmanager
        def held(self):
            with self.lock:
                yield

        def by_generator(self, function):
            with self.held():
                return function()

        def open(self):
            with self.condition:
                self.is_open = True
                self.condition.notify_all()

        def pass_through(self):
            with self.condition:
                while not self.is_open:
                    self.condition.wait()


    class Worker:
        def __init__(self):
            self.jobs = SimpleQueue()

        def serve(self):
            while (job := self.jobs.get()) is not None:
                job()


    def wait_until(is_true, timeout):
        lock, deadline = threading.Lock(), time.monotonic() + timeout
        while time.monotonic() < deadline:
            with lock:
                if is_true():
                    return True
            time.sleep(0.005)
        return False


    def waits_for_ever():
        waiter = threading.Lock()
        waiter.acquire()
        return waiter


    class TwoLocks:
        def __init__(self):
            self.first, self.second = threading.Lock(), threading.Lock()

        def forth(self):
            with self.first:
                with self.second:
                    pass

        def back(self):
            with self.second:
                with self.first:
                    pass


    class Nothing:
        def __enter__(self):
            return self

        def __exit__(self, *exc_info):
            pass


    def visit():
        with Nothing():
            return 1


    class Hits:
        def __init__(self):
            self.number = 0

        def add(self):
            self.number += 1
"""


def run_beside(pytester, text, *args):
    """Run a project in an environment where ``parcel`` is installed."""
    folder = pytester.path / "site-packages"
    folder.mkdir()
    (folder / "parcel.py").write_text(textwrap.dedent(PACKAGE), encoding="utf-8")
    pytester.makeini("[pytest]\npythonpath = site-packages")
    return run_project(pytester, module("import parcel\n" + textwrap.dedent(text)), UNHURRIED, *args)


@pytest.mark.parametrize("how", ["with", "hand", "condition", "generator"])
def test_what_a_package_guards_is_guarded(pytester, how):
    """No data race, nothing outside control, and all orders are seen."""
    text = f"""
        @pytest.mark.concurrency(data_races="error")
        def test_program(concur):
            guard, box = parcel.Guard(), Box()

            def add():
                box.x += 1

            concur.run(*[lambda: guard.by_{how}(add)] * 2)
            assert box.x == 2
    """

    test = run_beside(pytester, text).test("test_program")

    assert (test.verdict, test.kinds, test.explored["complete"]) == ("passed", (), True)


def test_what_a_package_does_not_guard_is_found(pytester):
    """A value is read under a package's lock and written under it, but not in one go."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            guard, box = parcel.Guard(), Box()

            def add():
                seen = guard.by_with(lambda: box.x)
                guard.by_with(lambda: setattr(box, "x", seen + 1))

            concur.run(add, add)
            assert box.x == 2
    """
    finding = assert_fails(run_beside(pytester, text), ["assertion"])

    again = replay(pytester, "test_program.py::test_program", finding.token)
    assert again.kinds == ("assertion",), again.output


def test_waiting_in_a_package_is_under_control(pytester):
    """Conditions and queues of a package block and wake tasks."""
    text = """
        @pytest.mark.concurrency(schedules=30)
        def test_condition(concur):
            guard = parcel.Guard()
            concur.run(guard.pass_through, guard.pass_through, guard.open)

        @pytest.mark.concurrency(schedules=30)
        def test_queue(concur):
            worker, done = parcel.Worker(), []
            thread = threading.Thread(target=worker.serve)
            thread.start()
            concur.run(lambda: worker.jobs.put(lambda: done.append(1)), lambda: worker.jobs.put(lambda: done.append(2)))
            worker.jobs.put(None)
            thread.join()
            assert sorted(done) == [1, 2]
    """
    result = run_beside(pytester, text)

    assert [(test.verdict, test.uncontrolled) for test in result.tests] == [("passed", ())] * 2, result.output


def test_a_deadlock_inside_a_package_is_found(pytester):
    """Two locks of a package, taken in opposite orders."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            both = parcel.TwoLocks()
            concur.run(both.forth, both.back)
    """
    assert_fails(run_beside(pytester, text), ["deadlock"])


def test_a_package_keeps_its_accesses_and_its_held_locks_to_itself(pytester):
    """Nobody asked to explore it: what it leaves held is no leak, what it writes is no place for a switch."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            hits = parcel.Hits()
            concur.run(hits.add, hits.add)
            parcel.waits_for_ever()
            assert hits.number == 2

        @pytest.mark.concurrency(scope=["parcel"])
        def test_scope(concur):
            hits = parcel.Hits()
            concur.run(hits.add, hits.add)
            assert hits.number == 2
    """
    result = run_beside(pytester, text)

    test = result.test("test_program")
    assert (test.verdict, test.kinds, test.explored["schedules"]) == ("passed", (), 1), result.output
    assert result.test("test_scope").verdict == "failed"


def test_a_package_imported_while_the_test_runs(pytester):
    """Its locks are under control from the first run that counts."""
    text = """
        import sys
        del parcel

        @pytest.mark.concurrency(data_races="error")
        def test_program(concur):
            import parcel
            guard, box = parcel.Guard(), Box()

            def add():
                box.x += 1

            concur.run(*[lambda: guard.by_generator(add)] * 2)
            assert box.x == 2
    """
    text = text.replace("import sys\n        del parcel", "del parcel; sys.modules.pop('parcel')")

    test = run_beside(pytester, text).test("test_program")

    assert (test.verdict, test.kinds, test.uncontrolled) == ("passed", (), ())


def test_others_run_while_a_package_sleeps(pytester):
    """It waits for another task by looking again and again, with pauses that take real time."""
    text = """
        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            done = []
            assert concur.run(lambda: parcel.wait_until(done.copy, 4), lambda: done.append(1))[0]

        @pytest.mark.concurrency(schedules=5)
        def test_short_nap(concur):
            box = Box()

            def add():
                seen = box.x
                parcel.wait_until(list, 0.01)
                box.x = seen + 1

            concur.run(add, add)
            assert box.x == 2
    """
    result = run_beside(pytester, text)

    test = result.test("test_program")
    assert (test.verdict, test.kinds) == ("inconclusive", ()), result.output
    assert "time.sleep() of parcel (without scope=['parcel'] it takes real time)" in str(test.uncontrolled)
    assert test.explored["seconds"] < 4, "nobody waited for the time-out"
    assert result.test("test_short_nap").kinds[:1] == ("assertion",), "others had no turn meanwhile"


def test_the_gil_can_change_hands_in_a_package(pytester):
    """Where the package's code is entered, as if it were not rewritten."""
    text = """
        @pytest.mark.concurrency(granularity="gil")
        def test_program(concur):
            box = Box()

            def add():
                seen = box.x
                more = parcel.visit()
                box.x = seen + more

            concur.run(add, add)
            assert box.x == 2
    """
    assert assert_fails(run_beside(pytester, text), ["assertion"]).gil == "reachable"
