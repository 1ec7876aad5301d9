"""``timeouts="explore"``: a time-out may fire while others could still run, as on a slow machine."""

from __future__ import annotations

import pytest
from project import UNHURRIED, assert_fails, module, passes, replay, run_project
from shares import share_out

EXPLORE = ("--concur-timeouts=explore", UNHURRIED)

IN_THE_MIDDLE_OF_WORK = {
    "of a waiting task": """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            done = threading.Event()

            def produce():
                box.x = 1
                box.x = 2
                done.set()

            def consume():
                if not done.wait(5):
                    assert box.x != 1

            concur.run(produce, consume)
    """,
    "of the body": """
        @pytest.mark.concurrency
        def test_program():
            box = Box()

            def work():
                box.x = 1
                box.x = 2

            thread = threading.Thread(target=work)
            thread.start()
            thread.join(3)
            assert box.x != 1
            thread.join()
    """,
    "of a library that waits until a moment": """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            channel = queue.Queue()

            def produce():
                box.x = 1
                box.x = 2
                channel.put(box)

            def consume():
                try:
                    channel.get(timeout=2)
                except queue.Empty:
                    assert box.x != 1

            concur.run(produce, consume)
    """,
}
"""A time-out fires while the one task that could run stands between its two writes."""


@pytest.mark.parametrize(
    "strategy",
    ["random", "auto", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("pct", "pos", "urw", "surw"))],
)
@share_out("program", IN_THE_MIDDLE_OF_WORK)
def test_a_time_out_may_fire_while_one_task_works(pytester, program, strategy):
    """Where points of a lone task ask nobody, that is never tried, or it does not replay."""
    options = (f"--concur-strategy={strategy}", "--concur-schedules=5000", *EXPLORE)

    found = assert_fails(run_project(pytester, module(program), *options), {"assertion"})

    assert found.preemptions == 1
    assert_fails(replay(pytester, "test_program.py::test_program", found.token, *options), {"assertion"})


def test_time_has_passed_where_a_time_out_fires(pytester):
    """A longer one does not fire before a shorter one, and clocks agree."""
    text = """
        @pytest.mark.concurrency(schedules=500)
        def test_program(concur):
            slept = []

            def sleep(seconds):
                began = time.monotonic()
                time.sleep(seconds)
                assert time.monotonic() - began >= seconds
                slept.append(seconds)

            def work():
                for _ in range(5):
                    slept.count(1)

            concur.run(work, lambda: sleep(2), lambda: sleep(1))
            assert sorted(slept) == [1, 2]
    """

    result = run_project(pytester, module(text), "--concur-strategy=random", *EXPLORE)

    assert passes(result.only), result.output
