"""Ways in which real programs make, keep and use threads and locks: each is controlled, and nothing of it changes.

Each subject comes as a pair of whole programs with one marked test, ``test_program``. The correct one passes with
nothing uncontrolled; its racy twin differs in one mistake and is found, which shows that control really happens.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
from project import ORIGINALS, UNHURRIED, assert_passes, fails, module, passes, run_programs, run_project
from shares import shared_out

SCHEDULES_OF_A_CORRECT_PROGRAM = "--concur-schedules=80"


@dataclass(frozen=True, slots=True)
class Twins:
    """A correct program and its racy twin."""

    subject: str
    """What both use."""

    correct: str
    """Body of the module that passes."""

    racy: str
    """Body of the module that fails under some schedule and in no sequential run."""

    kinds: frozenset[str]
    """Kinds that explain the failure of the racy one."""


def twins(subject: str, text: str, correct: str, racy: str, *kinds: str) -> Twins:
    """Return both programs made from ``text``, whose one ``<MISTAKE>`` becomes ``correct`` or ``racy``.

    The replacement takes over the indent of the line on which ``<MISTAKE>`` stands.
    """
    before, after = text.split("<MISTAKE>")
    indent = before.rpartition("\n")[2]
    filled = [before + f"\n{indent}".join(lines.split("\n")) + after for lines in (correct, racy)]
    return Twins(subject, *filled, frozenset(kinds))


WITH_LOCK = "with lock:\n    box.x += 1"
SPLIT = "with lock:\n    value = box.x\nwith lock:\n    box.x = value + 1"
BARE = "box.x += 1"

TWO_TASKS = """
    @pytest.mark.concurrency
    def test_program(concur):
        box = Box()
        lock = threading.Lock()

        def add():
            <MISTAKE>

        concur.run(add, add)
        assert box.x == 2
"""

TAKE_IF_ANY = """
    @pytest.mark.concurrency
    def test_program(concur):
        channel = {make}
        channel.put("only")
        taken = []

        def take():
            <MISTAKE>

        concur.run(take, take)
        assert taken == ["only"]
"""
TAKE_AND_CATCH = "try:\n    taken.append(channel.get_nowait())\nexcept queue.Empty:\n    pass"
TAKE_AFTER_LOOKING = "if not channel.empty():\n    taken.append(channel.get_nowait())"
WAIT_AFTER_LOOKING = "if not channel.empty():\n    taken.append(channel.get())"

LOST_WAKE_UP = """
    @pytest.mark.concurrency
    def test_program(concur):
        box = Box()
        condition = threading.Condition()
        arrived = []

        def consumer():
            <MISTAKE>

        def producer():
            with condition:
                box.x = 1
                condition.notify()

        concur.run(consumer, producer)
        assert False not in arrived
"""

ALL_TWINS = [
    twins(
        "locks made at import time",
        """
        FIRST = threading.Lock()
        SECOND = threading.Lock()


        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def one():
                with FIRST, SECOND:
                    box.x += 1

            def two():
                <MISTAKE>
                    box.x += 1

            concur.run(one, two)
            assert box.x == 2
        """,
        "with FIRST, SECOND:",
        "with SECOND, FIRST:",
        "deadlock",
    ),
    twins(
        "a lock made by a class that was imported by name",
        """
        from threading import Lock


        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            lock = Lock()

            def add():
                <MISTAKE>

            concur.run(add, add)
            assert box.x == 2
        """,
        WITH_LOCK,
        SPLIT,
        "assertion",
    ),
    twins(
        "a lock in a slot",
        """
        class Account:
            __slots__ = ("lock", "x")

            def __init__(self):
                self.lock = threading.Lock()
                self.x = 0

            def add(self):
                box, lock = self, self.lock
                <MISTAKE>


        @pytest.mark.concurrency
        def test_program(concur):
            account = Account()
            concur.run(account.add, account.add)
            assert account.x == 2
        """,
        WITH_LOCK,
        SPLIT,
        "assertion",
    ),
    twins(
        "a lock in a closure made at import time",
        """
        def make_counter():
            lock = threading.Lock()
            total = 0

            def add():
                nonlocal total
                <MISTAKE>

            def read_and_reset():
                nonlocal total
                value, total = total, 0
                return value

            return add, read_and_reset


        ADD, READ_AND_RESET = make_counter()


        @pytest.mark.concurrency
        def test_program(concur):
            READ_AND_RESET()
            concur.run(ADD, ADD)
            assert READ_AND_RESET() == 2
        """,
        "with lock:\n    total += 1",
        "with lock:\n    value = total\nwith lock:\n    total = value + 1",
        "assertion",
    ),
    twins(
        "a lock as a default argument",
        """
        def add(box, lock=threading.Lock()):
            <MISTAKE>


        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            concur.run(lambda: add(box), lambda: add(box))
            assert box.x == 2
        """,
        WITH_LOCK,
        SPLIT,
        "assertion",
    ),
    twins(
        "bound methods of a lock kept under other names",
        """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            lock = threading.Lock()
            take, give_back = lock.acquire, lock.release

            def add():
                take()
                <MISTAKE>
                box.x = value + 1
                give_back()

            concur.run(add, add)
            assert box.x == 2
        """,
        "value = box.x",
        "value = box.x\ngive_back()\ntake()",
        "assertion",
    ),
    twins(
        "threads that the body starts, without the fixture",
        """
        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add():
                <MISTAKE>

            threads = [threading.Thread(target=add) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "a Thread subclass",
        """
        class Adder(threading.Thread):
            def __init__(self, box, lock):
                super().__init__(name="adder")
                self.box = box
                self.lock = lock

            def run(self):
                box, lock = self.box, self.lock
                <MISTAKE>


        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()
            threads = [Adder(box, lock), Adder(box, lock)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "a pool of multiprocessing.pool, whose threads wait for pipes",
        """
        from multiprocessing.pool import ThreadPool


        @pytest.mark.concurrency(schedules=100)
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add(_):
                <MISTAKE>

            with ThreadPool(2) as pool:
                pool.map(add, range(2))
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "threads of an event loop",
        """
        import asyncio


        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add():
                <MISTAKE>

            async def both():
                await asyncio.gather(asyncio.to_thread(add), asyncio.to_thread(add))

            asyncio.run(both())
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "an event loop that runs in a thread",
        """
        import asyncio


        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()

            def add():
                <MISTAKE>

            async def add_there():
                add()

            there = asyncio.run_coroutine_threadsafe(add_there(), loop)
            add()
            there.result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "daemon threads",
        """
        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add():
                <MISTAKE>

            threads = [threading.Thread(target=add, daemon=True) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
                assert thread.daemon
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "raw threads",
        """
        import _thread


        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()
            ended = []

            def add(mine):
                <MISTAKE>
                mine.release()

            for _ in range(2):
                mine = _thread.allocate_lock()
                mine.acquire()
                ended.append(mine)
                _thread.start_new_thread(add, (mine,))
            for mine in ended:
                mine.acquire()
                mine.release()
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "Timers",
        """
        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add():
                <MISTAKE>

            timers = [threading.Timer(0, add), threading.Timer(0, add)]
            for timer in timers:
                timer.start()
            for timer in timers:
                timer.join()
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "thread-local values",
        """
        <MISTAKE>


        @pytest.mark.concurrency
        def test_program(concur):
            def remember(value):
                def work():
                    MINE.value = value
                    return MINE.value

                return work

            assert concur.run(remember(1), remember(2)) == [1, 2]
        """,
        "MINE = threading.local()",
        "MINE = Box()",
        "assertion",
        "nondeterminism",
    ),
    twins(
        "a ThreadPoolExecutor as a context manager",
        """
        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add():
                <MISTAKE>

            with ThreadPoolExecutor(max_workers=2) as pool:
                futures = [pool.submit(add) for _ in range(2)]
            assert [future.result() for future in futures] == [None, None]
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "a ThreadPoolExecutor with shutdown",
        """
        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add(amount):
                <MISTAKE>
                return amount

            pool = ThreadPoolExecutor(max_workers=2)
            try:
                assert list(pool.map(add, [1, 2])) == [1, 2]
            finally:
                pool.shutdown(wait=True)
            with pytest.raises(RuntimeError):
                pool.submit(add, 3)
            assert box.x == 3
        """,
        "with lock:\n    box.x += amount",
        "box.x += amount",
        "assertion",
    ),
    twins(
        "a SimpleQueue",
        TAKE_IF_ANY.format(make="queue.SimpleQueue()"),
        TAKE_AND_CATCH,
        TAKE_AFTER_LOOKING,
        "exception",
    ),
    twins("a Queue", TAKE_IF_ANY.format(make="queue.Queue()"), TAKE_AND_CATCH, TAKE_AFTER_LOOKING, "exception"),
    twins("a LifoQueue", TAKE_IF_ANY.format(make="queue.LifoQueue()"), TAKE_AND_CATCH, TAKE_AFTER_LOOKING, "exception"),
    twins(
        "a PriorityQueue",
        TAKE_IF_ANY.format(make="queue.PriorityQueue()"),
        TAKE_AND_CATCH,
        TAKE_AFTER_LOOKING,
        "exception",
    ),
    twins(
        "a blocking get of a Queue",
        TAKE_IF_ANY.format(make="queue.Queue()"),
        TAKE_AND_CATCH,
        WAIT_AFTER_LOOKING,
        "deadlock",
    ),
    twins(
        "a blocking get of a SimpleQueue",
        TAKE_IF_ANY.format(make="queue.SimpleQueue()"),
        TAKE_AND_CATCH,
        WAIT_AFTER_LOOKING,
        "deadlock",
    ),
    twins(
        "a Barrier",
        """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            lock = threading.Lock()
            barrier = threading.Barrier(3)

            def add():
                barrier.wait()
                <MISTAKE>

            concur.run(add, add, add)
            assert box.x == 3
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "a Condition without timeout",
        LOST_WAKE_UP,
        "with condition:\n    while not box.x:\n        condition.wait()",
        "if not box.x:\n    with condition:\n        condition.wait()",
        "deadlock",
    ),
    twins(
        "a Condition with timeout",
        LOST_WAKE_UP,
        "with condition:\n    if not box.x:\n        arrived.append(condition.wait(timeout=5))",
        "if not box.x:\n    with condition:\n        arrived.append(condition.wait(timeout=5))",
        "assertion",
    ),
    twins(
        "a task that catches BaseException",
        """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            first, second = threading.Lock(), threading.Lock()
            caught = []

            def one():
                try:
                    with first, second:
                        box.x += 1
                except BaseException as error:
                    caught.append(error)

            def two():
                try:
                    <MISTAKE>
                        box.x += 1
                except BaseException as error:
                    caught.append(error)

            concur.run(one, two)
            assert caught == []
            assert box.x == 2
        """,
        "with first, second:",
        "with second, first:",
        "deadlock",
    ),
    twins(
        "a task that catches BaseException and tries again",
        """
        @pytest.mark.concurrency
        def test_program(concur):
            first, second = threading.Lock(), threading.Lock()

            def one():
                while True:
                    try:
                        with first, second:
                            return
                    except BaseException:
                        continue

            def two():
                while True:
                    try:
                        <MISTAKE>
                            return
                    except BaseException:
                        continue

            concur.run(one, two)
        """,
        "with first, second:",
        "with second, first:",
        "deadlock",
    ),
    twins(
        "a thread that ends and that nobody joins",
        """
        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def flicker():
                with lock:
                    box.x = 1
                    <MISTAKE>
                        box.x = 0

            threading.Thread(target=flicker).start()
            with lock:
                assert box.x == 0
        """,
        "if box.x:",
        "lock.release()\nlock.acquire()\nif box.x:",
        "assertion",
    ),
    twins(
        "sys.exit in a thread",
        """
        @pytest.mark.concurrency
        def test_program():
            box = Box()
            lock = threading.Lock()

            def add():
                <MISTAKE>
                sys.exit(3)

            threads = [threading.Thread(target=add) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert box.x == 2
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins(
        "sys.exit in a task",
        """
        @pytest.mark.concurrency(outcome="any")
        def test_program(concur):
            box = Box()
            lock = threading.Lock()

            def add():
                <MISTAKE>
                sys.exit(3)

            try:
                concur.run(add)
            except SystemExit as stop:
                assert stop.code == 3
            tasks = [concur.start(add), concur.start(add)]
            for task in tasks:
                try:
                    task.join()
                except SystemExit as stop:
                    assert stop.code == 3
            assert box.x == 3
        """,
        WITH_LOCK,
        BARE,
        "assertion",
    ),
    twins("locks and tasks at their plainest", TWO_TASKS, WITH_LOCK, SPLIT, "assertion"),
]


@shared_out
def test_correct_twins_pass(pytester, part):
    """Correct programs pass, nothing in them is warned about, and all of each ran under control."""
    texts = {pair.subject: module(pair.correct) for pair in part(ALL_TWINS)}

    ran = run_programs(pytester, texts, SCHEDULES_OF_A_CORRECT_PROGRAM, UNHURRIED)

    assert ran.misjudged(lambda _, test: passes(test)) == {}, ran.result.output


@shared_out
def test_racy_twins_are_found(pytester, part):
    """The one mistake is found as a failure that happens under some schedule and in no sequential run."""
    pairs = part(ALL_TWINS)
    deserved = {pair.subject: pair.kinds for pair in pairs}

    ran = run_programs(pytester, {pair.subject: module(pair.racy) for pair in pairs}, UNHURRIED)

    assert ran.misjudged(lambda subject, test: fails(test, deserved[subject])) == {}, ran.result.output
    assert not [test.nodeid for test in ran.result.tests for finding in test.findings if finding.sequential]


BOUNDED_HAND_OFF = """
    @pytest.mark.concurrency
    def test_program(concur):
        channel = queue.{kind}(maxsize=1)
        received = []

        def produce():
            for number in range(3):
                channel.put(number)

        def consume():
            for _ in range(3):
                received.append(channel.get())
                channel.task_done()

        concur.run(produce, consume)
        channel.join()
        assert received == [0, 1, 2]
"""


def test_bounded_queues_block_and_wake_under_control(pytester):
    """A producer that waits for room and a consumer that waits for items finish under every schedule."""
    kinds = ("Queue", "LifoQueue", "PriorityQueue")
    texts = {kind: module(BOUNDED_HAND_OFF.format(kind=kind)) for kind in kinds}

    ran = run_programs(pytester, texts, SCHEDULES_OF_A_CORRECT_PROGRAM, UNHURRIED)

    assert ran.misjudged(lambda _, test: passes(test)) == {}, ran.result.output


def test_waiting_takes_no_wall_time(pytester):
    """An hour of sleep, of a Timer and of a Condition timeout passes on the virtual clock, within the budget."""
    text = module(
        """
        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            box = Box()
            condition = threading.Condition()

            def sleeper():
                began = time.monotonic()
                time.sleep(3600)
                assert time.monotonic() - began >= 3600

            def waiter():
                with condition:
                    assert not condition.wait_for(lambda: False, timeout=3600)

            timer = threading.Timer(3600, box.__setattr__, ("x", 1))
            timer.start()
            concur.run(sleeper, waiter)
            timer.join()
            assert box.x == 1
        """
    )

    assert_passes(run_project(pytester, text, UNHURRIED))


def test_timer_that_is_cancelled_in_time_never_fires(pytester):
    """A Timer cannot fire while somebody else can run, so cancelling it at once always wins."""
    text = module(
        """
        @pytest.mark.concurrency
        def test_program():
            fired = []
            timer = threading.Timer(5, fired.append, (1,))
            timer.start()
            timer.cancel()
            timer.join()
            assert fired == []
        """
    )

    assert_passes(run_project(pytester, text, SCHEDULES_OF_A_CORRECT_PROGRAM, UNHURRIED))


def test_thread_local_values_are_fresh_in_every_run(pytester):
    """No task ever sees a thread-local value that a task of another run has left behind."""
    text = module(
        """
        MINE = threading.local()


        @pytest.mark.concurrency
        def test_program(concur):
            def work():
                assert not hasattr(MINE, "value")
                MINE.value = 1

            concur.run(work, work)
        """
    )

    assert_passes(run_project(pytester, text, SCHEDULES_OF_A_CORRECT_PROGRAM, UNHURRIED))


def test_sys_exit_in_a_task_does_not_end_the_session(pytester):
    """A task that calls sys.exit ends alone: pytest goes on and reports what it makes of it."""
    text = module(
        """
        @pytest.mark.concurrency
        def test_program(concur):
            concur.run(lambda: sys.exit(3))


        def test_unmarked():
            pass
        """
    )

    result = run_project(pytester, text)

    assert result.exit in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), result.output
    assert result.outcomes["passed"] >= 1, result.output


def test_tasks_that_swallow_the_abort_leave_the_next_test_alone(pytester):
    """After a deadlock whose tasks retry for ever, the next test, marked or not, runs as if nothing had happened."""
    stubborn = next(pair for pair in ALL_TWINS if pair.subject == "a task that catches BaseException and tries again")
    text = module(stubborn.racy) + module(
        """
        @pytest.mark.concurrency(schedules=50)
        def test_next(concur):
            box = Box()
            lock = threading.Lock()

            def add():
                with lock:
                    box.x += 1

            concur.run(add, add)
            assert box.x == 2


        def test_unmarked():
            assert threading.Lock().acquire(timeout=1)
        """
    )

    result = run_project(pytester, text, UNHURRIED)

    assert result.test("test_program").verdict == "failed", result.output
    assert result.test("test_next").verdict == "passed", result.output
    assert result.outcomes == {"failed": 1, "passed": 2}, result.output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no os.fork")
def test_fork_is_refused_clearly(pytester):
    """A controlled os.fork makes no child and fails with a message that names it; elsewhere it still works."""
    text = module(
        """
        def fork_and_leave_a_trace(name):
            child = os.fork()
            if child == 0:
                open(name, "x").close()
                os._exit(0)
            os.waitpid(child, 0)


        @pytest.mark.concurrency
        def test_program(concur):
            concur.run(lambda: fork_and_leave_a_trace("controlled"))


        def test_unmarked():
            fork_and_leave_a_trace("unmarked")
        """
    )

    result = run_project(pytester, text)

    assert result.test("test_program").verdict == "failed", result.output
    assert result.outcomes == {"failed": 1, "passed": 1}, result.output
    assert "os.fork" in result.output
    assert not (pytester.path / "controlled").exists()
    assert (pytester.path / "unmarked").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no os.fork")
def test_a_child_forked_where_nobody_saw_it_coming_ends(pytester):
    """The library that forks is imported in the test; at its end the child wants to join a thread that it has not."""
    text = module(
        """
        @pytest.mark.concurrency(schedules=3)
        def test_program():
            import multiprocessing

            with ThreadPoolExecutor(1) as pool:
                pool.submit(print).result()
                child = multiprocessing.get_context("fork").Process(target=print)
                child.start()
                child.join()
        """
    )

    result = run_project(pytester, text, hang_s=60)

    assert fails(result.only, {"sequential-failure"}), result.output
    assert "os.fork" in result.output


def test_identity_type_and_repr_of_locks_do_not_change(pytester):
    """Inside a controlled run, locks made before and during it look exactly as they do outside."""
    text = module(
        """
        import pickle

        LOCK = threading.Lock()
        RLOCK = threading.RLock()
        LOCK_TYPE = type(LOCK)
        RLOCK_TYPE = type(RLOCK)
        IDS = (id(LOCK), id(RLOCK))
        BY_LOCK = {LOCK: "lock", RLOCK: "rlock"}
        TEXTS = (repr(LOCK), repr(RLOCK))
        LOCK_TEXT = repr(LOCK).partition(" at ")[0]


        def look():
            assert (type(LOCK), type(RLOCK)) == (LOCK_TYPE, RLOCK_TYPE)
            assert (id(LOCK), id(RLOCK)) == IDS
            assert (BY_LOCK[LOCK], BY_LOCK[RLOCK]) == ("lock", "rlock")
            made = threading.Lock()
            assert type(made) is LOCK_TYPE
            assert repr(made).partition(" at ")[0] == LOCK_TEXT
            with made:
                assert made.locked()
                assert repr(made).partition(" at ")[0] == LOCK_TEXT.replace("unlocked", "locked")
            assert type(threading.RLock()) is RLOCK_TYPE
            assert type(queue.Queue().mutex) is LOCK_TYPE
            assert type(threading.Condition(LOCK)._lock) is LOCK_TYPE
            with pytest.raises(TypeError, match="pickle"):
                pickle.dumps(made)


        @pytest.mark.concurrency(schedules=50)
        def test_program(concur):
            assert (repr(LOCK), repr(RLOCK)) == TEXTS
            concur.run(look, look)
            assert (repr(LOCK), repr(RLOCK)) == TEXTS


        def test_unmarked():
            look()
            assert (repr(LOCK), repr(RLOCK)) == TEXTS
        """
    )

    result = run_project(pytester, text, UNHURRIED)

    assert_passes(result)
    assert result.outcomes == {"passed": 2}, result.output


MARKED_TESTS = {
    "that passes": (
        "passed",
        """
        def marked(concur, lock, box):
            def add():
                with lock:
                    box.x += 1

            concur.run(add, add)
            assert box.x == 2
        """,
    ),
    "that fails": (
        "failed",
        """
        def marked(concur, lock, box):
            def add():
                with lock:
                    value = box.x
                with lock:
                    box.x = value + 1

            concur.run(add, add)
            assert box.x == 2
        """,
    ),
    "that deadlocks": (
        "failed",
        """
        def marked(concur, lock, box):
            other = threading.Lock()

            def one():
                with lock, other:
                    box.x += 1

            def two():
                with other, lock:
                    box.x += 1

            concur.run(one, two)
        """,
    ),
}


@pytest.mark.parametrize(("verdict", "marked"), MARKED_TESTS.values(), ids=list(MARKED_TESTS))
def test_nothing_is_left_patched(pytester, verdict, marked):
    """After a marked test the standard library has its own code again and locks of the test are free and usable."""
    (pytester.path / "originals.py").write_text(ORIGINALS, encoding="utf-8")
    text = module("import originals\n\nLOCK = threading.Lock()\nCONDITION = threading.Condition(LOCK)\n")
    text += module(marked)
    text += module(
        """
        CONDITION_WAIT = threading.Condition.wait.__code__
        QUEUE_PUT = queue.Queue.put.__code__
        SLEEP = time.sleep
        MARKED = marked.__code__


        @pytest.mark.concurrency(schedules=100)
        def test_program(concur):
            marked(concur, LOCK, Box())


        def test_unmarked():
            assert originals.left_patched() == []
            assert threading.Condition.wait.__code__ is CONDITION_WAIT
            assert queue.Queue.put.__code__ is QUEUE_PUT
            assert marked.__code__ is MARKED
            assert time.sleep is SLEEP
            assert threading.active_count() == 1
            assert LOCK.acquire(blocking=False)
            LOCK.release()
            with CONDITION:
                assert not CONDITION.wait(timeout=0.001)
        """
    )

    result = run_project(pytester, text, UNHURRIED)

    assert result.verdict == verdict, result.output
    assert result.outcomes.get("passed", 0) == (2 if verdict == "passed" else 1), result.output
    assert result.outcomes.get("failed", 0) == (0 if verdict == "passed" else 1), result.output


@pytest.mark.parametrize("strategy", ["pos", "surw"])
def test_objects_end_when_nobody_holds_them(pytester, strategy):
    """A strategy that is told what operations touch lets objects end: what only it kept alive is no finding."""
    text = module(
        f"""
        import weakref


        class Connection:
            def __init__(self):
                self.uses = 0


        @pytest.mark.concurrency(strategy="{strategy}", schedules=100, data_races="ignore")
        def test_program(concur):
            connections = [Connection()]
            ends = weakref.ref(connections[0])

            def use():
                for connection in list(connections):
                    connection.uses += 1
                    connection.uses += 1

            concur.run(use, use)
            connections.clear()
            assert ends() is None
        """
    )

    result = run_project(pytester, text, UNHURRIED)

    assert_passes(result)


@pytest.mark.parametrize("mistake", [False, True])
def test_a_package_in_scope_that_is_imported_late(pytester, mistake):
    """What ``scope`` names is instrumented also if the body is the first to import it, installed or not."""
    package = pytester.path / "site-packages" / "parcel"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text("", encoding="utf-8")
    taken = "with lock:" if not mistake else "if True:"
    package.joinpath("desk.py").write_text(
        f"""
import threading

lock = threading.Lock()

def add(box):
    {taken}
        value = box.x
        box.x = value + 1
""",
        encoding="utf-8",
    )
    pytester.makeini("[pytest]\npythonpath = site-packages")
    text = module(
        """
        @pytest.mark.concurrency(scope=["parcel"])
        def test_program(concur):
            from parcel.desk import add

            box = Box()
            concur.run(lambda: add(box), lambda: add(box))
            assert box.x == 2
        """
    )

    result = run_project(pytester, text)

    assert result.kinds[:1] == (("assertion",) if mistake else ()), result.output
    assert result.verdict == ("failed" if mistake else "passed"), result.output


def test_a_thousand_tasks_take_seconds(pytester):
    """They wait for one lock, and each time it is free all of them could have it: nobody is looked up in a list."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            box, lock = Box(), threading.Lock()

            def add():
                with lock:
                    box.x += 1

            concur.run(*[add] * 1_000)
            assert box.x == 1_000
    """

    assert_passes(run_project(pytester, module(text), hang_s=60))
