"""Tasks of ``concur.start``: what they raise is lost nowhere, and what would run nothing is refused."""

from __future__ import annotations

import pytest
from project import UNHURRIED, assert_fails, assert_passes, module, replay, run_project

UNASKED = {
    "at every time": ("sequential-failure", "concur.start(lambda: 1 / 0).join()", "ZeroDivisionError"),
    "nobody waits": ("sequential-failure", "concur.start(lambda: 1 / 0)", "ZeroDivisionError"),
    "an argument that it does not take": (
        "sequential-failure",
        "concur.start(lambda: 1, name='x').join()",
        "TypeError",
    ),
    "in some order": (
        "exception",
        """
    def add():
        seen = box.x
        box.x = seen + 1
        assert box.x == seen + 1

    for task in [concur.start(add), concur.start(add)]:
        task.join()
        """,
        "AssertionError",
    ),
}
HEAD = """
@pytest.mark.concurrency
def test_program(concur):
    box = Box()
    """


@pytest.mark.parametrize(("kind", "body", "error"), UNASKED.values(), ids=UNASKED.keys())
def test_what_a_started_task_raises_fails_the_test_although_nobody_asks(pytester, kind, body, error):
    result = run_project(pytester, module("") + HEAD + body, UNHURRIED)
    found = assert_fails(result, [kind])

    assert error in found.summary
    assert replay(pytester, result.only.nodeid, found.token).findings[0].summary == found.summary


@pytest.mark.parametrize("args", [(), ("--concur=off",)], ids=["without the marker", "off"])
@pytest.mark.parametrize("end", ["", ".join()"])
def test_so_it_does_where_nothing_is_controlled(pytester, args, end):
    text = module("") + HEAD.replace("@pytest.mark.concurrency", "@pytest.mark.concurrency" if args else "")
    text += f"task = concur.start(lambda: 1 / 0)\n    time.sleep(0.1)\n    task{end}\n"
    result = run_project(pytester, text, *args)

    assert result.outcomes == {"passed": 1, "errors": 1}, result.output
    assert "ZeroDivisionError" in result.output


ASKED = {
    "expected": "with pytest.raises(ZeroDivisionError):\n        concur.start(lambda: 1 / 0).result()",
    "after a join": """
    task = concur.start(lambda: 1 / 0)
    task.join()
    with pytest.raises(ZeroDivisionError):
        task.result()
    """,
    "it leaves": "concur.start(lambda: sys.exit(0)).join()",
}


@pytest.mark.parametrize("body", ASKED.values(), ids=ASKED.keys())
def test_what_was_asked_for_is_none_of_the_test_s(pytester, body):
    assert_passes(run_project(pytester, module("") + HEAD + body, UNHURRIED))


RUN_NOTHING = ["async def work(): pass", "def work(): yield 1", "async def work(): yield 1"]


@pytest.mark.parametrize("call", ["run", "start"])
@pytest.mark.parametrize("function", RUN_NOTHING)
def test_a_function_whose_call_runs_nothing_is_refused(pytester, function, call):
    body = f"{function}\n    concur.{call}(work)"

    result = run_project(pytester, module("") + HEAD + body)

    assert result.exit == pytest.ExitCode.TESTS_FAILED
    assert f"concur.{call} got <function" in result.output
    assert "is a coroutine or a generator function: calling it runs none of its code" in result.output


def test_a_list_of_functions_is_refused_with_the_remedy(pytester):
    result = run_project(pytester, module("") + HEAD + "concur.run([print, print])")

    assert "concur.run(*functions)" in result.output


def test_the_thread_of_a_task_has_its_name(pytester):
    """So that what is printed and logged can be told apart; a thread that the code starts by itself has its own."""
    text = """
        import _thread


        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            def ask():
                return threading.current_thread().name

            assert concur.run(ask, ask, names=["left", "right"]) == ["left", "right"]
            seen = queue.Queue()
            _thread.start_new_thread(lambda: seen.put(ask()), ())
            assert seen.get().startswith("Dummy")
    """
    assert_passes(run_project(pytester, module(text), UNHURRIED))


@pytest.mark.parametrize("names", ["'ab'", "['a', 2]", "['a', '']"])
def test_names_are_words(pytester, names):
    body = f"concur.run(int, int, names={names})\n"
    result = run_project(pytester, module("") + HEAD + body, UNHURRIED)

    assert "give a list of words, one for each function" in result.output
    assert result.verdict == "failed"


def test_what_fails_in_real_threads_fails_the_test_that_started_them(pytester):
    """In a round of stress, say; and no other test behind it."""
    text = """
        @pytest.mark.concurrency(schedules=3, stress=2)
        def test_program(concur):
            def fail():
                if type(threading.current_thread()) is threading.Thread:
                    raise ZeroDivisionError

            concur.start(fail).join()


        def test_behind(concur):
            pass
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert result.only.verdict == "failed", result.output
    assert result.outcomes == {"passed": 1, "failed": 1}
