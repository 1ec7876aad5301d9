"""A test that sleeps to let others go on passes, as it does without the plugin; a sleep that splits a step is found."""

from __future__ import annotations

import pytest
from project import UNHURRIED, fails, module, passes, replay, run_programs, run_project

pytest_plugins = ["pytester"]

LET_OTHERS_GO_ON = {
    "the body sleeps until a thread has done its work": """
        @pytest.mark.concurrency(schedules=20)
        def test_program():
            seen = []
            thread = threading.Thread(target=lambda: seen.append(1))
            thread.start()
            time.sleep(0.1)
            assert seen == [1]
            thread.join()
    """,
    "the body sleeps and observes": """
        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            seen = []
            thread = threading.Thread(target=lambda: seen.append(1))
            thread.start()
            time.sleep(0.1)
            concur.observe(seen=len(seen))
            thread.join()
    """,
    "the body looks a few times and sleeps in between": """
        @pytest.mark.concurrency(schedules=20)
        def test_program():
            done = threading.Event()
            thread = threading.Thread(target=done.set)
            thread.start()
            for _ in range(5):
                if done.is_set():
                    break
                time.sleep(0.05)
            assert done.is_set()
            thread.join()
    """,
    "a consumer sleeps until there is something": """
        @pytest.mark.concurrency(schedules=20)
        def test_program():
            waiting, got = queue.Queue(), []

            def consume():
                time.sleep(0.1)
                got.append(waiting.get_nowait())

            threads = [threading.Thread(target=consume), threading.Thread(target=lambda: waiting.put(1))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert got == [1]
    """,
    "tasks begin one after the other": """
        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            order = []

            def late(number):
                time.sleep(number / 100)
                order.append(number)

            concur.run(*[lambda number=number: late(number) for number in range(3)])
            assert order == [0, 1, 2]
    """,
    "a thread takes a lock meanwhile": """
        @pytest.mark.concurrency(schedules=20)
        def test_program():
            lock = threading.Lock()

            def hold():
                with lock:
                    time.sleep(0.5)

            thread = threading.Thread(target=hold)
            thread.start()
            time.sleep(0.1)
            assert not lock.acquire(blocking=False)
            thread.join()
            assert lock.acquire(blocking=False)
            lock.release()
    """,
    "a timer fires": """
        @pytest.mark.concurrency(schedules=20)
        def test_program():
            fired = []
            timer = threading.Timer(0.05, fired.append, (1,))
            timer.start()
            time.sleep(0.1)
            assert fired == [1]
            timer.join()
    """,
    "a pool works": """
        @pytest.mark.concurrency(schedules=20)
        def test_program():
            with ThreadPoolExecutor(2) as pool:
                futures = [pool.submit(pow, 2, number) for number in range(3)]
                time.sleep(0.1)
                assert all(future.done() for future in futures)
    """,
    "a thread beats until it is stopped": """
        @pytest.mark.concurrency(schedules=20)
        def test_program():
            stop, beats = threading.Event(), []

            def beat():
                while not stop.is_set():
                    beats.append(time.monotonic())
                    time.sleep(0.01)

            thread = threading.Thread(target=beat)
            thread.start()
            time.sleep(0.1)
            stop.set()
            thread.join()
            assert len(beats) >= 5
    """,
}

SPLIT_STEPS = {
    "two tasks sleep between reading and writing": """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def add():
                value = box.x
                time.sleep(0.01)
                box.x = value + 1

            concur.run(add, add)
            assert box.x == 2
    """,
    "the body does so": """
        @pytest.mark.concurrency
        def test_program():
            box = Box()

            def add():
                box.x += 1

            thread = threading.Thread(target=add)
            thread.start()
            value = box.x
            time.sleep(0.01)
            box.x = value + 1
            thread.join()
            assert box.x == 2
    """,
    "two tasks do, while the body sleeps until they have": """
        @pytest.mark.concurrency
        def test_program():
            box, done = Box(), []

            def add():
                value = box.x
                time.sleep(0.01)
                box.x = value + 1
                done.append(1)

            threads = [threading.Thread(target=add) for _ in range(2)]
            for thread in threads:
                thread.start()
            time.sleep(1)
            assert len(done) == 2
            assert box.x == 2
            for thread in threads:
                thread.join()
    """,
}

WRONG_IN_ANY_ORDER = """
    @pytest.mark.concurrency
    def test_program():
        seen = []
        thread = threading.Thread(target=lambda: seen.append(1))
        thread.start()
        time.sleep(0.1)
        assert seen == [2]
        thread.join()
"""


def test_a_sleep_lets_others_go_on(pytester):
    programs = run_programs(pytester, {name: module(text) for name, text in LET_OTHERS_GO_ON.items()}, UNHURRIED)

    assert not programs.misjudged(lambda _, test: passes(test, {"data-race"})), programs.result.output


def test_a_sleep_that_splits_a_step_is_a_concurrency_bug(pytester):
    programs = run_programs(pytester, {name: module(text) for name, text in SPLIT_STEPS.items()}, UNHURRIED)

    assert not programs.misjudged(lambda _, test: fails(test, {"assertion"})), programs.result.output


@pytest.mark.parametrize("text", SPLIT_STEPS.values(), ids=SPLIT_STEPS)
def test_what_a_sleep_has_split_replays(pytester, text):
    (finding, *_) = run_project(pytester, module(text), UNHURRIED).findings

    assert fails(replay(pytester, "test_program.py::test_program", finding.token).only, {"assertion"})


def test_what_fails_in_any_order_says_what_it_says_without_the_plugin(pytester):
    """Others have gone on meanwhile; a failure that comes from their having been held up would be puzzling."""
    result = run_project(pytester, module(WRONG_IN_ANY_ORDER))

    assert fails(result.only, {"sequential-failure"}), result.output
    assert "assert [1] == [2]" in result.findings[0].summary
    again = replay(pytester, "test_program.py::test_program", result.findings[0].token)
    assert "assert [1] == [2]" in again.findings[0].summary


def test_a_plain_failure_that_an_answer_brings_about_is_sequential(pytester):
    """Tasks sleep beside each other; that is not why it fails."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            answers = []
            concur.run(lambda: time.sleep(0.1), lambda: answers.append(concur.choose([0, 1])))
            assert answers == [0]
    """

    assert fails(run_project(pytester, module(text)).only, {"sequential-failure"})


def test_no_search_is_complete_where_others_may_not_have_gone_on(pytester):
    """How long a sleep is, beside what others do meanwhile, is a matter of real time."""
    result = run_project(pytester, module(LET_OTHERS_GO_ON["the body sleeps until a thread has done its work"]))

    assert not result.only.explored["complete"]
    assert "it fails if others get no turn while it sleeps" in result.output


def test_who_skips_for_want_of_others_is_not_skipped(pytester):
    text = """
        @pytest.mark.concurrency(schedules=5)
        def test_program():
            seen = []
            thread = threading.Thread(target=lambda: seen.append(1))
            thread.start()
            time.sleep(0.1)
            if not seen:
                pytest.skip("too slow a machine")
            thread.join()
    """

    result = run_project(pytester, module(text))

    assert result.outcomes["passed"] == 1, result.output


def test_who_asks_for_early_ends_of_sleeps_gets_them(pytester):
    """Others may not have gone on by then: a slow machine."""
    text = LET_OTHERS_GO_ON["the body sleeps until a thread has done its work"].replace("schedules=20", "schedules=200")
    options = ("--concur-timeouts=explore", "--concur-strategy=random", UNHURRIED)
    result = run_project(pytester, module(text), *options)

    assert fails(result.only, {"assertion"}), result.output
    again = replay(pytester, "test_program.py::test_program", result.findings[0].token, *options)
    assert fails(again.only, {"assertion"}), again.output


def test_a_pool_kept_in_a_global_is_gone_when_the_body_is_repeated(pytester):
    """Its threads had no turn while the body slept, and were ended with that run: our doing, and no failure."""
    text = """
        POOL = ThreadPoolExecutor(max_workers=2)


        @pytest.mark.concurrency
        def test_program():
            seen = []
            POOL.submit(seen.append, 1)
            time.sleep(0.1)
            assert seen == [1]
    """

    result = run_project(pytester, module(text))

    assert (result.verdict, result.kinds) == ("inconclusive", ()), result.output
    assert "the body cannot be repeated: ThreadPoolExecutor-0_" in str(result.only.uncontrolled)


def test_a_sleeping_test_that_is_wrong_fails_although_its_threads_are_left(pytester):
    """Nobody has kept them; so the second one that was started where the first had no turn excuses nothing."""
    text = """
        @pytest.mark.concurrency
        def test_program():
            seen = []
            done = threading.Event()

            def work():
                seen.append(1)
                done.wait()

            for expected in ([], [1]):
                thread = threading.Thread(target=work)
                thread.start()
                time.sleep(0.1)
                assert seen == expected
            done.set()
    """

    assert fails(run_project(pytester, module(text)).only, {"sequential-failure"})
