"""Programs that are right, of kinds that were once called wrong; others that are none of ours are refused."""

from __future__ import annotations

import sys
import textwrap

import pytest
from project import UNHURRIED, assert_passes, module, run_project

VERIFIED = {
    "a fixture": """
        from unittest import mock


        @pytest.fixture
        def callback():
            asked = mock.Mock(return_value=1)
            yield asked
            assert asked.called


        @pytest.mark.concurrency
        def test_program(concur, callback):
            assert concur.run(callback, callback) == [1, 1]
    """,
    "a fixture that fails by name": """
        @pytest.fixture
        def box():
            box = Box()
            yield box
            if not box.x:
                pytest.fail("nothing was done")


        @pytest.mark.concurrency
        def test_program(concur, box):
            box.x = 1
            concur.run(lambda: None, lambda: None)
    """,
    "a class": """
        class TestProgram:
            def setup_method(self):
                self.box, self.lock = Box(), threading.Lock()

            def teardown_method(self):
                assert self.box.x == 2

            @pytest.mark.concurrency
            def test_program(self, concur):
                def add():
                    with self.lock:
                        self.box.x += 1

                concur.run(add, add)
    """,
}


@pytest.mark.parametrize("text", VERIFIED.values(), ids=VERIFIED.keys())
def test_a_fixture_that_looks_at_the_end_whether_all_was_done(pytester, text):
    """It is not asked where the test has not run yet."""
    assert_passes(run_project(pytester, module(text), UNHURRIED))


RESULTS = {
    "a tree whose nodes know their parents": """
        import dataclasses

        @dataclasses.dataclass
        class Node:
            children: list
            parent: object = None

        def make():
            root = Node([])
            root.children += [Node([], root), Node([], root)]
            return root
    """,
    "a list that is in itself": """
        def make():
            result = []
            result.append(result)
            return result
    """,
    "a deep one": """
        def make():
            result = []
            for _ in range(5000):
                result = [result]
            return result
    """,
    "a wide one": """
        def make():
            result = []
            for _ in range(60):
                result = [result, result]
            return result
    """,
}


@pytest.mark.parametrize("text", RESULTS.values(), ids=RESULTS.keys())
def test_results_that_cannot_be_compared_to_their_end(pytester, text):
    program = """

        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            concur.run(make, make)
    """

    assert_passes(run_project(pytester, module(text) + module(program), UNHURRIED))


HELPERS_KEPT = {
    "a worker": """
        from concurrent.futures import Future

        JOBS, WORKERS = queue.Queue(), []

        def serve():
            while True:
                reply, number = JOBS.get()
                reply.set_result(2 * number)

        def double(number):
            if not WORKERS:
                WORKERS.append(threading.Thread(target=serve, daemon=True))
                WORKERS[0].start()
            reply = Future()
            JOBS.put((reply, number))
            return reply.result(timeout=20)
    """,
    "an event loop": """
        import asyncio

        LOOPS = []

        async def doubled(number):
            return 2 * number

        def double(number):
            if not LOOPS:
                LOOPS.append(asyncio.new_event_loop())
                threading.Thread(target=LOOPS[0].run_forever, daemon=True).start()
            return asyncio.run_coroutine_threadsafe(doubled(number), LOOPS[0]).result(5)
    """,
}


@pytest.mark.parametrize("text", HELPERS_KEPT.values(), ids=HELPERS_KEPT.keys())
def test_a_helper_that_is_started_once_for_all_runs(pytester, text):
    """It was ended with the first run: that it answers in no other is our doing, and nobody's failure."""
    program = """

        @pytest.mark.concurrency
        def test_program(concur):
            assert double(1) == 2
            assert concur.run(lambda: double(2)) == [4]
    """

    test = run_project(pytester, module(text) + module(program), UNHURRIED).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "cannot be repeated" in str(test.uncontrolled)


OWNERS = {
    "a module": "POOL = ThreadPoolExecutor(2)",
    "a fixture": """
        POOL = ThreadPoolExecutor(2)

        @pytest.fixture(scope="session", autouse=True)
        def pool():
            yield
            POOL.shutdown()
    """,
}


@pytest.mark.parametrize("owner", OWNERS.values(), ids=OWNERS.keys())
def test_a_pool_that_outlives_a_marked_test_goes_on_for_others(pytester, owner):
    """Its threads were ended with the runs, which is a leak; without them the next test would wait for ever."""
    tests = """

        @pytest.mark.concurrency
        def test_program():
            assert list(POOL.map(abs, [-1, -2])) == [1, 2]


        def test_plain():
            assert list(POOL.map(abs, [-1, -2, -3])) == [1, 2, 3]
            assert len(POOL._threads) <= 2
    """

    result = run_project(pytester, module(owner) + module(tests), UNHURRIED)

    assert result.outcomes == {"failed": 1, "passed": 1}, result.output
    assert result.findings[0].kind == "thread-leak"


def test_subtests_are_refused(pytester):
    """They keep a failure from the run that it ends."""
    text = """
        @pytest.fixture
        def subtests():
            pass

        @pytest.mark.concurrency
        def test_program(concur, subtests):
            pass
    """

    result = run_project(pytester, module(text))

    assert result.exit == pytest.ExitCode.INTERRUPTED
    assert "does not go with the fixture subtests" in result.output
    assert "use @pytest.mark.parametrize" in result.output


def test_an_installed_copy_of_the_project_is_the_project(pytester):
    """Tox installs what it tests; the folder beside the tests is not even imported then."""
    code = "class Box:\n    x = 0\n\n\ndef add(box):\n    box.x = int(box.x) + 1\n"
    for folder in ("src/their_own", "venv/site-packages/their_own", "venv/site-packages/another"):
        (pytester.path / folder).mkdir(parents=True)
        (pytester.path / folder / "__init__.py").write_text(code, encoding="utf-8")
    text = """
        sys.path.insert(0, "venv/site-packages")
        import another
        import their_own


        @pytest.mark.parametrize("package", [their_own, another], ids=["own", "another"])
        @pytest.mark.concurrency
        def test_program(concur, package):
            box = package.Box()
            concur.run(lambda: package.add(box), lambda: package.add(box))
            assert "site-packages" in package.__file__
            assert box.x == 2
    """

    result = run_project(pytester, module(text), UNHURRIED)

    assert result.test("test_program[own]").verdict == "failed", result.output
    assert result.test("test_program[another]").verdict == "passed", "what is installed is trusted"


OWN_VARIABLES = {
    "of one function": """
        def make_counter():
            count = 0

            def up():
                nonlocal count
                count += 1
                return count

            return up

        assert concur.run(make_counter(), make_counter()) == [1, 1]
    """,
    "of two functions": """
        def make(step):
            count = 0

            def up():
                nonlocal count
                count += step

            return up

        def make_other():
            count = 0

            def down():
                nonlocal count
                count -= 1
                return count

            return down

        assert concur.run(make(2), make_other()) == [None, -1]
    """,
    "of a decorator": """
        def retried(function):
            attempts = 0

            def call():
                nonlocal attempts
                while attempts < 2:
                    attempts += 1
                    function()
                return attempts

            return call

        assert concur.run(lambda: retried(int)(), lambda: retried(int)()) == [2, 2]
    """,
}


@pytest.mark.parametrize("body", OWN_VARIABLES.values(), ids=OWN_VARIABLES.keys())
def test_variables_of_the_same_name_are_different_ones(pytester, body):
    """Each call of a function makes its variables anew, and those that its inner functions share with it."""
    text = "@pytest.mark.concurrency(data_races='error')\ndef test_program(concur):\n"
    text += textwrap.indent(textwrap.dedent(body).strip(), 4 * " ") + "\n"
    result = run_project(pytester, module("") + text, UNHURRIED)

    assert (result.verdict, result.only.explored["complete"]) == ("passed", True), result.output


@pytest.mark.parametrize("strategy", ["bounded", "dpor", "pos", "surw"])
def test_objects_end_as_they_do_without(pytester, strategy):
    """What strategies watch is let go when nobody else has it."""
    text = f"""
        class Connection:
            def __init__(self, log):
                self.log = log

            def __del__(self):
                self.log.append("closed")


        @pytest.mark.concurrency(strategy="{strategy}", schedules=100)
        def test_program(concur):
            def work():
                log, held = [], {{}}
                held["it"] = Connection(log)
                del held
                assert log == ["closed"]

            concur.run(work, work)
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert_passes(result)
    assert "does not count" not in result.output


@pytest.mark.parametrize("strategy", ["bounded", "dpor", "pos", "surw"])
def test_a_program_that_counts_references_is_not_judged_by_who_watches(pytester, strategy):
    """What fails for that alone does not count; and nothing else was run, which must not look like a pass."""
    text = f"""
        @pytest.mark.concurrency(strategy="{strategy}")
        def test_program(concur):
            def work():
                items = []
                items.append(1)
                assert sys.getrefcount(items) == 2

            concur.run(work, work)
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert (result.exit, result.verdict) == (0, "inconclusive"), result.output
    assert "only watching brings about" in result.output


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before 3.13 the library can read such code")
def test_code_that_cannot_be_read_stays_as_it_is(pytester):
    """Others of the module are explored all the same; who calls it is not called complete."""
    text = """
        def odd():
            type Alias[T: [lambda: T for T in (T, [1])[1]]] = [lambda: T for T in T.__name__]
            return Alias.__value__[0]()


        @pytest.mark.concurrency(strategy="dpor")
        def test_calls_it(concur):
            assert concur.run(odd, odd) == ["T", "T"]


        @pytest.mark.concurrency(strategy="dpor")
        def test_beside_it(concur):
            box = Box()
            concur.run(lambda: box.__init__(), lambda: box.x)
    """
    result = run_project(pytester, module(text), "--concur-data-races=ignore")
    complete = {test.nodeid.partition("::")[2]: test.explored["complete"] for test in result.tests}

    assert complete == {"test_calls_it": False, "test_beside_it": True}, result.output
    assert "the search is not complete: tasks call odd" in result.output


TIMED = {
    "between two looks": """
        began = time.perf_counter()
        concur.run(work, work)
        assert time.perf_counter() - began > 1e-5
    """,
    "as a rate": """
        def rate():
            began = time.time()
            work()
            return 1 / (time.time() - began) < 1e5

        assert concur.run(rate, rate) == [True, True]
    """,
}


@pytest.mark.parametrize("body", TIMED.values(), ids=TIMED.keys())
def test_computing_takes_time(pytester, body):
    """Under control time stands still while tasks compute: what fails for that alone is no failure."""
    text = "@pytest.mark.concurrency\ndef test_program(concur):\n    work = lambda: sum(range(100_000))\n"
    text += textwrap.indent(textwrap.dedent(body).strip(), 4 * " ") + "\n"
    result = run_project(pytester, module("") + text, UNHURRIED, "--concur-schedules=3")

    assert (result.exit, result.verdict, result.findings) == (0, "inconclusive", ()), result.output
    assert "the time that passes while the test computes at test_program.py:" in result.output


def test_a_race_beside_a_look_at_the_clock_is_one(pytester):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def add():
                began, seen = time.perf_counter(), box.x
                box.x = seen + 1
                return time.perf_counter() >= began

            concur.run(add, add)
            assert box.x == 2
    """

    assert run_project(pytester, module(text), UNHURRIED).kinds[0] == "assertion"


LONG_LOOPS = {
    "a global variable": "    global NUMBER\n    NUMBER = 0\n    while NUMBER < 3000:\n        NUMBER += 1",
    "an attribute of a class": "    Box.y = 0\n    while Box.y < 3000:\n        Box.y += 1",
    "an item deep inside": "    boxes = [[Box()]]\n    while boxes[0][0].x < 3000:\n        boxes[0][0].x += 1",
    "an iterator": "    numbers = iter(range(9000))\n    while next(numbers) < 3000:\n        SEEN.x",
}


@pytest.mark.parametrize("loop", LONG_LOOPS.values(), ids=LONG_LOOPS.keys())
def test_a_loop_that_gets_on_is_no_livelock(pytester, loop):
    """It reaches ``max_steps``, and more is not known of it."""
    text = f"""
def work():
{loop}


@pytest.mark.concurrency(max_steps=2000, schedules=2)
def test_program(concur):
    concur.run(work, lambda: SEEN.x)
"""
    result = run_project(pytester, module("NUMBER = 0\nSEEN = Box()\nSEEN.x = 1\n") + text, UNHURRIED)

    assert result.verdict == "inconclusive", result.output


def test_objects_that_may_not_be_asked_are_left_alone_in_a_long_run(pytester):
    """Their ways of being asked are code of the program, which would come to points of its own."""
    text = """
        class Lazy:
            __slots__ = ("fields",)

            def __init__(self):
                self.fields = {}

            def __getattr__(self, name):
                return self.fields[name]

            def __len__(self):
                raise RuntimeError("not yet")

            @property
            def __class__(self):
                raise RuntimeError("nobody is behind it")


        @pytest.mark.concurrency(max_steps=4000, schedules=2)
        def test_program(concur):
            box, lock, lazy = Box(), threading.Lock(), Lazy()

            def work():
                number = 0
                while number < 400:
                    number += 1
                    with lock:
                        box.x += 1
                return lazy is None

            concur.run(work, work)
            assert box.x == 800
    """
    assert_passes(run_project(pytester, module(text), UNHURRIED))
