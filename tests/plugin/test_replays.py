"""The token of what was found replays it in another process, whatever strategy found it and however tasks block."""

from __future__ import annotations

import textwrap
from collections.abc import Collection

import pytest
from project import UNHURRIED, module, run_programs, run_pytest
from shares import shared_out

pytest_plugins = ["pytester"]

LOCKED = """
def inside(first, second):
    def take():
        with first:
            with second:
                pass

    return take


@pytest.mark.concurrency(strategy="STRATEGY")
def test_program(concur):
    one, two, three = threading.Lock(), threading.Lock(), threading.Lock()
"""

DEADLOCKS = {
    "two tasks": "concur.run(inside(one, two), inside(two, one))",
    "three tasks": "concur.run(inside(one, two), inside(two, three), inside(three, one))",
    "locks of an object": """
        box = Box()
        box.one, box.two = one, two

        def there():
            with box.one, box.two:
                pass

        def back():
            with box.two, box.one:
                pass

        concur.run(there, back)
    """,
    "a task and the body": """
        task = concur.start(inside(one, two))
        inside(two, one)()
        task.join()
    """,
    "a thread and the body": """
        thread = threading.Thread(target=inside(one, two))
        thread.start()
        inside(two, one)()
        thread.join()
    """,
    "semaphores": """
        one, two = threading.Semaphore(), threading.Semaphore()
        concur.run(inside(one, two), inside(two, one))
    """,
    "a lost wake-up": """
        items, filled = [], threading.Condition()

        def put():
            items.append(1)
            with filled:
                filled.notify()

        def take():
            if not items:
                with filled:
                    filled.wait()

        concur.run(put, take)
    """,
    "a lock and a queue": """
        asked, answered = queue.Queue(), queue.Queue()

        def ask():
            with one:
                asked.put(1)
                answered.get()

        def answer():
            asked.get()
            with one:
                answered.put(1)

        concur.run(ask, answer)
    """,
}


def programs(strategy: str, shapes: Collection[str]) -> dict[str, str]:
    head = module("") + LOCKED.replace("STRATEGY", strategy)
    return {what: head + textwrap.indent(textwrap.dedent(DEADLOCKS[what]).strip(), 4 * " ") + "\n" for what in shapes}


@pytest.mark.parametrize(
    "strategy",
    [
        "auto",
        "dpor",
        *(
            pytest.param(each, marks=pytest.mark.exhaustive)
            for each in ("bounded", "pct", "pos", "random", "surw", "urw")
        ),
    ],
)
@shared_out
def test_the_token_of_a_deadlock_replays_it(pytester, strategy, part):
    """Where operations are watched, taking a lock is one step; where not, whoever cannot have it has a turn to see."""
    shapes = part(DEADLOCKS)
    run = run_programs(pytester, programs(strategy, shapes), UNHURRIED)
    assert not run.misjudged(lambda _, test: test.kinds == ("deadlock",))

    for what in shapes:
        (test,) = run.of(what)
        again = run_pytest(pytester, test.nodeid, f"--concur-replay={test.findings[0].token}")

        assert again.findings[0].summary == test.findings[0].summary, what


COMPARE_RUNS = """
from pytest_concur.explore.trial import Laboratory
from pytest_concur.strategies.replay import Replay

run = Laboratory.run


def run_and_replay(self, make_scheduler, *, mode=None, **options):
    trial = run(self, make_scheduler, mode=mode, **options)
    if mode is not None and mode.flavour == "operate":
        schedule = trial.record.schedule
        unwatched = run(self, lambda: Replay(schedule), mode=self.mode(is_focused=mode.is_focused))
        counts = trial.record.contested, unwatched.record.contested
        assert len(set(counts)) == 1, f"{counts[0]} points watched, {counts[1]} not: {schedule}"
    return trial


Laboratory.run = run_and_replay
"""

WORK = {
    "a pool": """
        box = Box()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: bump(box), range(4)))
    """,
    "threads": """
        box = Box()
        threads = [threading.Thread(target=bump, args=(box,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """,
    "a timer": """
        box = Box()
        timer = threading.Timer(0.1, bump, (box,))
        timer.start()
        bump(box)
        time.sleep(0.2)
        timer.join()
    """,
    "a queue": """
        box, full = Box(), queue.Queue(1)

        def put():
            for _ in range(3):
                full.put(1)

        def get():
            for _ in range(3):
                full.get()
                bump(box)

        concur.run(put, get)
    """,
    "a barrier": """
        box, barrier = Box(), threading.Barrier(3)

        def meet():
            barrier.wait()
            bump(box)
            barrier.wait()

        concur.run(meet, meet, meet)
    """,
}


@pytest.mark.parametrize("strategy", ["pos", "dpor"])
def test_a_schedule_has_as_many_points_whether_operations_are_watched_or_not(pytester, strategy):
    """Else what a strategy that watches has found could not be minimized, nor replayed: it would be dropped."""
    pytester.makeconftest(COMPARE_RUNS)
    head = module("def bump(box):\n    x = box.x\n    box.x = x + 1\n") + (
        f"\n\n@pytest.mark.concurrency(strategy='{strategy}', schedules=40)\ndef test_program(concur):\n"
    )
    programs = {
        what: head + textwrap.indent(textwrap.dedent(body).strip(), 4 * " ") + "\n" for what, body in WORK.items()
    }

    run = run_programs(pytester, programs, UNHURRIED)

    assert not run.misjudged(lambda _, test: test.verdict == "passed")
