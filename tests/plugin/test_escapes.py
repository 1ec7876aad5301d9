"""What escapes control never becomes a finding, and never passes quietly."""

from __future__ import annotations

import textwrap

import pytest
from project import UNHURRIED, assert_fails, module, run_project, run_pytest


def test_worker_kept_in_a_global_is_no_deadlock(pytester):
    """A daemon thread that the body starts once ends with its run; that the next run waits for it is our doing."""
    text = module(
        """
        jobs, answers = queue.Queue(), queue.Queue()
        worker = None

        def serve():
            while True:
                answers.put(jobs.get() + 1)

        @pytest.mark.concurrency
        def test_program(concur):
            global worker
            if worker is None:
                worker = threading.Thread(target=serve, daemon=True)
                worker.start()
            jobs.put(1)
            assert answers.get() == 2
        """
    )

    test = run_project(pytester, text).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "cannot be repeated" in str(test.uncontrolled)


@pytest.mark.parametrize("wait", ["pool.submit(len, 'abc').result()", "asyncio.run(main())"])
def test_a_pool_kept_in_a_global_leaves_its_thread_behind(pytester, wait):
    """The first run may have to be repeated, and its worker is gone then: what counts is that it was left behind.

    On a machine so busy that it stands still meanwhile, somebody outside might have been waited for.
    """
    text = module(
        f"""
        import asyncio

        pool = ThreadPoolExecutor(max_workers=1)

        async def main():
            return await asyncio.get_running_loop().run_in_executor(pool, len, "abc")

        @pytest.mark.concurrency
        def test_program():
            assert {wait} == 3
        """
    )

    result = run_project(pytester, text)

    assert (result.verdict, result.kinds) in [("failed", ("thread-leak",)), ("inconclusive", ())], result.output


def test_worker_whose_code_is_seen_late_is_no_deadlock(pytester):
    """The same where the first run has to be repeated, because it met code that was not instrumented yet."""
    (pytester.path / "serving.py").write_text(
        "def serve(jobs, answers):\n    while True:\n        answers.put(add(jobs.get()))\n\n\n"
        "def add(number):\n    return number + 1\n"
    )
    text = module(
        """
        import serving

        jobs, answers = queue.Queue(), queue.Queue()
        worker = None

        @pytest.mark.concurrency
        def test_program(concur):
            global worker
            if worker is None:
                worker = threading.Thread(target=serving.serve, args=(jobs, answers), daemon=True)
                worker.start()
            jobs.put(1)
            assert answers.get() == 2
        """
    )

    test = run_project(pytester, text).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "cannot be repeated" in str(test.uncontrolled)


def test_thread_of_a_wider_fixture_may_wake_a_task(pytester):
    """Tasks that wait for a thread outside control wait for it in real time; no deadlock is claimed."""
    text = module(
        """
        @pytest.fixture(scope="module")
        def server():
            inbox, outbox = queue.Queue(), queue.Queue()

            def serve():
                while (number := inbox.get()) is not None:
                    outbox.put(number + 1)

            thread = threading.Thread(target=serve)
            thread.start()
            yield inbox, outbox
            inbox.put(None)
            thread.join()

        @pytest.mark.concurrency(schedules=20)
        def test_program(server, concur):
            inbox, outbox = server

            def ask():
                inbox.put(1)
                assert outbox.get() == 2

            concur.run(ask, ask)
        """
    )

    test = run_project(pytester, text).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())


def test_blocking_socket_lets_others_run_and_is_reported(pytester):
    """A task blocked in a socket is waited for, others run meanwhile, and the report names the call."""
    text = module(
        """
        import socket

        @pytest.mark.concurrency(schedules=10, data_races="error")
        def test_program(concur):
            here, there = socket.socketpair()

            def receive():
                assert here.recv(1) == b"x"

            def send():
                time.sleep(1)
                there.send(b"x")

            concur.run(receive, send)
            here.close()
            there.close()
        """
    )

    result = run_project(pytester, text)
    test = result.test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "here.recv" in str(test.uncontrolled)
    assert "data races and lock orders were not looked for: part was outside control" in result.output


@pytest.mark.parametrize("strategy", ["random", "dpor"])
def test_a_task_outside_control_may_come_back_in_another_run(pytester, strategy):
    """A daemon in a socket outlives its run; the lock that it leaves may be held by a task of the run that goes on."""
    text = module(
        """
        import socket

        LOCK, PAIRS = threading.Lock(), []

        def receive(here):
            with LOCK:
                here.recv(1)

        @pytest.mark.concurrency(schedules=3)
        def test_program():
            while PAIRS:
                for each in PAIRS.pop():
                    each.close()
            here, there = socket.socketpair()
            PAIRS.append((there,))
            threading.Thread(target=receive, args=(here,), daemon=True).start()
            time.sleep(0.1)
        """
    )

    result = run_project(pytester, text, UNHURRIED, f"--concur-strategy={strategy}")

    assert (result.verdict, result.findings) == ("inconclusive", ()), result.output


@pytest.mark.parametrize("strategy", ["random", "dpor"])
def test_what_is_raised_outside_control_may_leave_a_with_block(pytester, strategy):
    """Whoever leaves a lock's block by an exception of the system has come back, and has no turn yet."""
    text = module(
        """
        import socket

        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            here, there = socket.socketpair()
            here.settimeout(0.6)
            lock, box = threading.Lock(), Box()

            def receive():
                with pytest.raises(TimeoutError):
                    with lock:
                        here.recv(1)

            def work():
                for _ in range(200):
                    box.x += 1
                    time.sleep(0.01)

            concur.run(receive, work)
            here.close()
            there.close()
            assert box.x == 200
        """
    )

    test = run_project(pytester, text, UNHURRIED, f"--concur-strategy={strategy}").test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert test.explored["schedules"]


def test_a_task_outside_control_may_come_back_when_the_run_is_over(pytester):
    """It unwinds beside the others: with their turn it has nothing to do, and locks that it leaves ask for none."""
    text = module(
        """
        import select
        import socket

        @pytest.mark.concurrency(schedules=1, max_steps=500)
        def test_program(concur):
            here, there = socket.socketpair()
            lock, box = threading.Lock(), Box()

            def receive():
                with lock:
                    here.recv(1)
                    box.x += 1

            threading.Thread(target=receive).start()
            time.sleep(0.1)
            try:
                while box.x < 10_000:
                    box.x += 1
            finally:
                there.close()
                select.select([], [], [], 0.2)  # time for the other one, which no schedule gives it
        """
    )

    result = run_project(pytester, text)

    assert (result.verdict, result.findings) == ("inconclusive", ())
    assert result.outcomes["passed"] == 1


def test_waits_for_sockets_cost_little(pytester):
    """Where a task was blocked before, the next wait gives the turn away at once: the watchdog would need 20 ms."""
    text = module(
        """
        import socket

        TRIPS = 300

        @pytest.mark.concurrency(schedules=3)
        def test_program(concur):
            here, there = socket.socketpair()
            answers = there.makefile("rb", buffering=0)

            def serve():
                for _ in range(TRIPS):
                    here.send(here.recv(1).upper())

            def ask():
                for _ in range(TRIPS):
                    there.send(b"a")
                    assert answers.read(1) == b"A"

            concur.run(serve, ask)
            for each in (answers, here, there):
                each.close()
        """
    )

    test = run_project(pytester, text, UNHURRIED).test("test_program")

    assert (test.verdict, test.findings, test.explored["schedules"]) == ("inconclusive", (), 3)
    assert test.explored["seconds"] < 10  # 1,800 waits, for which it would need 36


def test_a_task_written_in_c_that_blocks_lets_others_run(pytester):
    """A bound method of a socket as a task has no Python code of the user's; its turn is taken away all the same."""
    text = module(
        """
        import socket


        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            left, right = socket.socketpair()
            with left, right:
                receive = concur.start(left.recv, 1)
                concur.start(right.send, b"x").join()
                assert receive.result() == b"x"
        """
    )

    result = run_project(pytester, text, UNHURRIED)

    assert result.verdict in ("passed", "inconclusive"), result.output
    assert not result.findings


@pytest.mark.parametrize("strategy", ["random", "surw", "dpor"])
def test_tasks_that_wake_each_other_for_ever_end(pytester, strategy):
    """Tasks that go in circles through a lock never pass many points in a row; the run ends at its limit."""
    text = module(
        f"""
        @pytest.mark.concurrency(strategy="{strategy}", schedules=3, max_steps=4000)
        def test_program(concur):
            lock, box = threading.Lock(), Box()

            def circle():
                while True:
                    with lock:
                        if box.x:
                            return

            concur.run(circle, circle, circle)
        """
    )

    result = run_project(pytester, text, hang_s=60)

    assert result.kinds in ((), ("livelock",)), result.output
    assert result.verdict in ("failed", "inconclusive"), result.output


@pytest.mark.parametrize("strategy", ["random", "surw", "dpor"])
def test_a_loop_over_a_local_flag_ends(pytester, strategy):
    """A loop whose only points make no difference is a long run like any other: others get turns, it ends."""
    text = module(
        f"""
        from functools import partial


        @pytest.mark.concurrency(strategy="{strategy}", schedules=10, max_steps=8000, data_races="ignore")
        def test_program(concur):
            box = Box()

            def wait():
                done, ask = False, partial(getattr, box, "x")
                while not done:
                    done = bool(ask())

            def tell():
                box.x = 1

            concur.run(wait, tell)
        """
    )

    result = run_project(pytester, text, UNHURRIED, hang_s=60)

    assert result.verdict == "passed", result.output


BREAKS = """
import pytest

from pytest_concur.strategies.random_walk import RandomWalk

answer, pick = RandomWalk.next_turn, RandomWalk.choose


@pytest.fixture(params=range(9))
def breaks(request, monkeypatch):
    left = request.param

    def next_turn(self, moment):
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError("out of luck")
        return answer(self, moment)

    def choose(self, count):
        raise ValueError("out of luck")

    monkeypatch.setattr(RandomWalk, "next_turn", next_turn)
    monkeypatch.setattr(RandomWalk, "choose", choose)
"""


def test_a_scheduler_that_goes_wrong_is_our_fault(pytester):
    """Wherever it does, at the end of a task or in the middle of one, the test fails with the cause, and no finding."""
    (pytester.path / "conftest.py").write_text(BREAKS, encoding="utf-8")
    text = module(
        """
        @pytest.mark.concurrency(strategy="random", data_races="ignore", fresh_fixtures=False)
        def test_program(breaks, concur):
            box, lock = Box(), threading.Lock()

            def add():
                try:
                    with lock:
                        box.x += 1
                except ValueError:
                    box.x = 9
                concur.choose([1, 2])

            concur.run(add, add, add)
            assert box.x == 3


        def test_unmarked():
            assert threading.active_count() == 1
        """
    )

    result = run_project(pytester, text, hang_s=60)

    assert result.outcomes == {"failed": 9, "passed": 1}, result.output
    assert {(test.verdict, test.findings) for test in result.tests} == {("inconclusive", ())}, result.output
    assert result.output.count("please report it with the lines above (ValueError: out of luck)") >= 9


def test_a_turn_that_is_lost_ends_the_run(pytester):
    """Whatever ends a thread between two turns, the others do not wait for it for ever."""
    (pytester.path / "conftest.py").write_text(
        "from pytest_concur.engine import watchdog\n"
        "from pytest_concur.engine.execution import Execution\n"
        "from pytest_concur.session import runner\n\n\n"
        "def vanish(self, task):\n    task.has_ended = True\n\n\n"
        "watchdog.BUSY_LIMIT_S = runner.BUSY_LIMIT_S = 0.5\n"
        "Execution._end_task = vanish\n",
        encoding="utf-8",
    )
    text = module(
        """
        @pytest.mark.concurrency(schedules=5)
        def test_program(concur):
            concur.run(lambda: None, lambda: None)


        def test_unmarked():
            assert threading.active_count() == 1
        """
    )

    result = run_project(pytester, text, hang_s=60)

    assert result.verdict == "inconclusive", result.output
    assert "has gone and taken the turn along" in str(result.only.uncontrolled)


def test_a_build_without_a_gil_is_not_explored(pytester):
    """There a test runs once as it stands, is no pass, and replays nothing."""
    (pytester.path / "conftest.py").write_text(
        'import sys\n\nsys.version += " free-threading build"\n', encoding="utf-8"
    )
    text = module(
        """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def add():
                box.x += 1

            assert concur.run(add, add) == [None, None]
        """
    )

    result = run_project(pytester, text)

    assert (result.verdict, result.findings) == ("inconclusive", ())
    assert result.outcomes == {"passed": 1, "warnings": 1}
    assert "cannot be explored yet; use one with a GIL" in result.output
    assert run_pytest(pytester, "--concur-replay=c1AAAA").outcomes == {"failed": 1}


GOING = """
    from unittest import mock

    HELD = threading.Lock()
    HELD.acquire()


    class Kept:
        def __init__(self, lock, seconds):
            self.lock, self.seconds = lock, seconds

        def __del__(self):
            with self.lock:
                time.sleep(self.seconds)


    @pytest.fixture
    def server():
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait, daemon=True)
        thread.start()
        yield
        stop.set()
        thread.join()


    def tries_a_held_lock(concur):
        concur.run(*[lambda: HELD.acquire(False)] * 2)


    @pytest.mark.concurrency(schedules=3)
    def test_leaves_idents(concur):
        concur.run(*[lambda: None] * 3)


    @pytest.mark.concurrency(schedules=3)
    def test_with_an_ident_used_again(concur, server):
        with mock.patch("time.sleep") as sleep:
            tries_a_held_lock(concur)
            sleep.assert_not_called()


    @pytest.mark.concurrency(schedules=3)
    def test_with_a_clock_that_stands_still(concur, server):
        with mock.patch("time.monotonic", return_value=5.0):
            tries_a_held_lock(concur)


    @pytest.mark.concurrency(schedules=1)
    def test_slow_finalizer(concur):
        lock, own = threading.Lock(), threading.local()

        def keep():
            own.kept = Kept(lock, 1.6)

        def use():
            with lock:
                pass

        concur.run(keep, use)
"""


def test_threads_that_are_going_are_waited_for_without_the_tests_clock(pytester):
    """A lock that a finalizer holds for long is no deadlock; whose ident is used again is not waited for."""
    result = run_project(pytester, module(GOING), UNHURRIED)

    assert result.test("test_with_an_ident_used_again").verdict == "passed", result.output
    assert result.test("test_with_a_clock_that_stands_still").verdict == "passed", result.output
    assert result.test("test_slow_finalizer").verdict in ("passed", "inconclusive"), result.output


SIGNALLED = """
    import asyncio
    import signal


    def wake_by_signal():
        os.kill(os.getpid(), signal.SIGUSR1)


    @pytest.mark.concurrency(schedules=20)
    def test_event_loop():
        async def wait():
            loop, woken = asyncio.get_running_loop(), asyncio.Event()
            loop.add_signal_handler(signal.SIGUSR1, woken.set)
            thread = threading.Thread(target=wake_by_signal)
            thread.start()
            await woken.wait()
            loop.remove_signal_handler(signal.SIGUSR1)
            thread.join()

        asyncio.run(wait())


    @pytest.mark.concurrency(schedules=20)
    def test_queue():
        numbers = queue.SimpleQueue()
        before = signal.signal(signal.SIGUSR1, lambda number, frame: numbers.put(number))
        thread = threading.Thread(target=wake_by_signal)
        thread.start()
        assert numbers.get(timeout=60) == signal.SIGUSR1
        thread.join()
        signal.signal(signal.SIGUSR1, before)
"""


def test_a_signal_that_a_task_sends_may_wake_another(pytester):
    """A handler runs in the main thread, whoever has the turn: who waits for what it does is not in a deadlock."""
    result = run_project(pytester, module(SIGNALLED), UNHURRIED)

    assert result.outcomes["passed"] == 2, result.output
    assert not [finding for test in result.tests for finding in test.findings], result.output


def test_a_handler_that_wants_what_it_has_interrupted_is_a_deadlock(pytester):
    """``Event.set`` takes a lock that ``Event.wait`` holds for a moment, and the handler runs on top of that."""
    text = module(
        """
        import signal


        @pytest.mark.concurrency
        def test_program():
            woken = threading.Event()
            before = signal.signal(signal.SIGUSR1, lambda number, frame: woken.set())
            try:
                thread = threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGUSR1))
                thread.start()
                woken.wait()
                thread.join()
            finally:
                signal.signal(signal.SIGUSR1, before)
        """
    )

    result = run_project(pytester, text, UNHURRIED)

    assert_fails(result, ["deadlock"])
    assert "which it holds itself" in result.output


def test_no_search_with_an_event_loop_is_complete(pytester):
    """Who wakes a loop is no operation that a systematic strategy sees: the others go on, and nothing is claimed."""
    text = module(
        """
        import asyncio


        @pytest.mark.concurrency(schedules=60)
        def test_program():
            async def both():
                return await asyncio.gather(asyncio.to_thread(abs, -1), asyncio.to_thread(abs, -2))

            assert asyncio.run(both()) == [1, 2]
        """
    )
    result = run_project(pytester, text, UNHURRIED)

    assert result.verdict == "passed", result.output
    assert "60 schedules: 1 passed" in result.output
    assert "all orders there are" not in result.output


HALF_CONTROLLED = """
    import threading


    class Channel:
        def __init__(self, lock):
            self.lock, self.items = lock, []
            self.changed = threading.Condition(lock)

        def put(self, item):
            with self.lock:
                self.items.append(item)
                self.changed.notify()

        def get(self):
            with self.lock:
                while not self.items:
                    self.changed.wait()
                return self.items.pop()
"""


@pytest.mark.parametrize("lock", ["Lock", "RLock"])
def test_what_others_have_released_is_not_left_held(pytester, lock):
    """A lock is taken under control, by a condition of the standard library, and released by a plugin's own code."""
    folder = pytester.path / "site-packages"
    folder.mkdir()
    (folder / "pytest_channels.py").write_text(textwrap.dedent(HALF_CONTROLLED), encoding="utf-8")
    pytester.makeini("[pytest]\npythonpath = site-packages")
    text = module(
        f"""
        import pytest_channels

        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            channel = pytest_channels.Channel(threading.{lock}())
            threading.Thread(target=channel.put, args=(1,), daemon=True).start()
            assert channel.get() == 1

        @pytest.mark.concurrency(schedules=20)
        def test_tasks(concur):
            channel = pytest_channels.Channel(threading.{lock}())
            assert concur.run(channel.get, lambda: channel.put(1)) == [1, None]

        @pytest.mark.concurrency(schedules=20)
        def test_kept(concur):
            channel = pytest_channels.Channel(threading.{lock}())
            threading.Thread(target=channel.put, args=(1,), daemon=True).start()
            channel.changed.acquire()
            channel.changed.wait_for(lambda: channel.items)
        """
    )

    result = run_project(pytester, text, UNHURRIED)

    for name in ("test_program", "test_tasks"):
        test = result.test(name)
        assert (test.verdict in ("passed", "inconclusive"), test.kinds) == (True, ()), result.output
    assert result.test("test_kept").verdict == "failed"
    assert "still held when the test had returned" in result.output
