"""Data races and locks taken in opposite orders: reported although nothing has failed, and only where they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from project import UNHURRIED, assert_fails, assert_passes, module, passes, replay, run_programs, run_project

pytest_plugins = ["pytester"]

PROGRAMS = Path(__file__).parent.parent / "programs"

BENIGN = {"spin_flag": "a flag", "spin_sleep": "a flag", "double_checked_lock": "double-checked"}
"""Correct programs that race on purpose, and what the warning says for them."""

RACE = """
    @pytest.mark.concurrency({arguments})
    def test_program(concur):
        box = Box()

        def store():
            box.x = 1

        def look():
            box.x

        concur.run(store, look)
"""

OPPOSITE = """
    @pytest.mark.concurrency(strategy="dpor", schedules=1{arguments})
    def test_program(concur):
        a, b, gate = threading.Lock(), threading.Lock(), threading.Lock()

        def one():
            {enter}
                with a:
                    with b:
                        pass

        def other():
            {enter}
                with b:
                    with a:
                        pass

        {run}
"""


def test_races_on_purpose_are_told_as_such(pytester: pytest.Pytester) -> None:
    """Where correct programs race on purpose, the warning says why it may be benign."""
    for name in BENIGN:
        text = (PROGRAMS / "safe" / f"{name}.py").read_text(encoding="utf-8")
        (pytester.path / f"test_{name}.py").write_text(text, encoding="utf-8")
    output = pytester.runpytest_subprocess("--concur-schedules=5", UNHURRIED).stdout.str()

    for name, words in BENIGN.items():
        [text] = re.findall(rf"data-race: test_{name}\.py(.*?)replay:", output, re.DOTALL)
        assert "may be benign" in text
        assert words in text


def test_race_is_a_warning_an_error_or_nothing(pytester: pytest.Pytester) -> None:
    """By default a race warns and the test passes; it can fail the test, with both stacks, or be left alone."""
    warned = run_project(pytester, module(RACE.format(arguments="")))
    assert_passes(warned, warnings=["data-race"])
    assert warned.kinds == ("data-race",)
    assert warned.outcomes == {"passed": 1, "warnings": 1}

    refused = run_project(pytester, module(RACE.format(arguments="data_races='error'")))
    finding = assert_fails(refused, ["data-race"])
    for words in ("Box.x is read and written", "store writes it, holding no lock", "look reads it, holding no lock"):
        assert words in refused.output
    again = replay(pytester, refused.only.nodeid, finding.token)
    assert again.kinds == ("data-race",)
    assert again.exit == pytest.ExitCode.TESTS_FAILED

    ignored = run_project(pytester, module(RACE.format(arguments="data_races='ignore'")))
    assert ignored.outcomes == {"passed": 1}


def test_locks_have_their_names(pytester: pytest.Pytester) -> None:
    """Where something is suspicious, the names of global locks and of those of classes are told; else nobody asks."""
    text = """
        LOCK = threading.Lock()


        class Bank:
            lock = threading.Lock()


        def one():
            with LOCK:
                with Bank.lock:
                    pass


        def other():
            {body}


        @pytest.mark.concurrency
        def test_program(concur):
            concur.run(one, other)
    """
    opposite = "with Bank.lock:\n        with LOCK:\n            pass"
    suspicious = module(text).replace("{body}", opposite).replace("concurrency", "concurrency(schedules=1)")
    warned = run_project(pytester, suspicious)
    assert_passes(warned, warnings=["lock-order"])
    assert "one takes Bank.lock (test_program.py:" in warned.output
    assert "while it holds test_program.LOCK (test_program.py:" in warned.output

    nobody_asks = "import pytest_concur.engine.announced as announced\n\ndel announced.name_of\n"
    (pytester.path / "conftest.py").write_text(nobody_asks, encoding="utf-8")
    assert_passes(run_project(pytester, module(text).replace("{body}", "one()")))


ORDERS = {
    "join": "concur.start(store).join(); concur.start(look).join()",
    "event": "done = threading.Event(); run(done.set, done.wait)",
    "polled event": "done = threading.Event(); run(done.set, lambda: poll(done.is_set))",
    "queue": "items = queue.Queue(); run(lambda: items.put(1), items.get)",
    "simple queue": "items = queue.SimpleQueue(); run(lambda: items.put(1), items.get)",
    "deque": "items = deque(); run(lambda: items.append(1), lambda: poll(lambda: items.popleft() if items else 0))",
    "barrier": "both = threading.Barrier(2); run(both.wait, both.wait)",
    "semaphore": "free = threading.Semaphore(0); run(free.release, free.acquire)",
    "future": "pool = ThreadPoolExecutor(1); pool.submit(store).result(); look(); pool.shutdown()",
    "polled thread": (
        "thread = threading.Thread(target=store); thread.start(); poll(lambda: not thread.is_alive()); look()"
    ),
}


def test_a_proxy_races_as_little_as_what_it_stands_for(pytester: pytest.Pytester) -> None:
    """What a proxy is asked for is kept by another object for each task; an object that checks what it keeps races."""
    text = """
        from contextvars import ContextVar

        current = ContextVar("current")


        class Proxy:
            def __getattr__(self, name):
                return current.get()[name]

            def __setattr__(self, name, value):
                current.get()[name] = value


        class Checked:
            def __setattr__(self, name, value):
                assert isinstance(value, int)
                object.__setattr__(self, name, value)


        @pytest.mark.concurrency(data_races="error", outcome="any", schedules=20)
        def test_program(concur):
            {shared}

            def store(number):
                current.set({{}})
                shared.x = number
                return shared.x

            concur.run(lambda: store(1), lambda: store(2))
    """
    assert_passes(run_project(pytester, module(text.format(shared="shared = Proxy()"))))
    checked = run_project(pytester, module(text.format(shared="shared = Checked(); shared.x = 0")))
    assert_fails(checked, ["data-race"])


def test_what_is_in_order_is_no_race(pytester: pytest.Pytester) -> None:
    """Joins, events, queues, barriers, semaphores, futures and atomic operations of containers put in order."""
    text = """
        def poll(is_true):
            while not is_true():
                pass


        @pytest.mark.concurrency(data_races="error", schedules=50)
        def test_program(concur):
            box = Box()

            def store():
                box.x = 1

            def look():
                box.x

            def run(tell, listen):
                concur.run(lambda: (store(), tell()), lambda: (listen(), look()))

    """
    texts = {
        name: module(text.rstrip(" ") + "".join(f"            {part}\n" for part in parts.split("; ")))
        for name, parts in ORDERS.items()
    }

    ran = run_programs(pytester, texts, UNHURRIED)

    assert ran.misjudged(lambda _, test: passes(test)) == {}, ran.result.output


def opposite(arguments: str = "", enter: str = "if True:", run: str = "concur.run(one, other)") -> str:
    return module(OPPOSITE.format(arguments=arguments, enter=enter, run=run))


def test_opposite_orders_are_reported_with_four_sites(pytester: pytest.Pytester) -> None:
    """Locks taken in opposite orders are reported although no schedule deadlocked, with all four places."""
    result = run_project(pytester, opposite(", lock_order='error'"))
    finding = assert_fails(result, ["lock-order"])

    places = set(re.findall(r"test_program\.py:(\d+)", finding.summary))
    assert len(places) == 4, finding.summary
    assert replay(pytester, result.only.nodeid, finding.token).kinds == ("lock-order",)
    assert_passes(run_project(pytester, opposite()), warnings=["lock-order"])


CANNOT_MEET = {
    "a gate lock": ("with gate:", "concur.run(one, other)"),
    "joined between": ("if True:", "concur.start(one).join(); concur.start(other).join()"),
    "before the start": ("if True:", "one(); concur.run(other)"),
    "after the join": ("if True:", "concur.run(one); other()"),
}


def test_orders_that_cannot_meet_are_not_reported(pytester: pytest.Pytester) -> None:
    """A gate lock lets one task in; what has ended before the other begins meets nobody; one task is no cycle."""
    texts = {name: opposite(", lock_order='error'", enter, run) for name, (enter, run) in CANNOT_MEET.items()}

    ran = run_programs(pytester, texts)

    assert ran.misjudged(lambda _, test: passes(test)) == {}, ran.result.output


def test_an_order_that_ends_in_no_deadlock_is_not_reported(pytester: pytest.Pytester) -> None:
    """The first reader takes the writers' lock while it counts, and never finds it held by a reader."""
    text = """
        class ReadersAndWriters:
            def __init__(self):
                self.readers, self.count, self.write = 0, threading.Lock(), threading.Lock()

            def begin(self):
                with self.count:
                    self.readers += 1
                    if self.readers == 1:
                        self.write.acquire()

            def end(self):
                with self.count:
                    self.readers -= 1
                    if self.readers == 0:
                        self.write.release()


        @pytest.mark.concurrency(lock_order="error", outcome="any"{more})
        def test_program(concur):
            lock = ReadersAndWriters()

            def read():
                lock.begin()
                lock.end()

            concur.run(read, read)
    """
    complete = run_project(pytester, module(text.replace("{more}", "")), UNHURRIED)
    assert_passes(complete)
    assert complete.only.explored["complete"]
    assert_fails(run_project(pytester, module(text.replace("{more}", ", schedules=1"))), ["lock-order"])


def test_a_ring_of_three_is_a_cycle(pytester: pytest.Pytester) -> None:
    """Three tasks, each of which takes the next one's lock, form one cycle."""
    text = module(
        """
        @pytest.mark.concurrency(strategy="dpor", schedules=1, lock_order="error")
        def test_program(concur):
            forks = [threading.Lock() for _ in range(3)]

            def dine(seat):
                with forks[seat], forks[(seat + 1) % 3]:
                    pass

            concur.run(*[lambda seat=seat: dine(seat) for seat in range(3)])
        """
    )
    assert assert_fails(run_project(pytester, text), ["lock-order"]).summary.count(" while it holds ") == 3


WARNED_OF = {
    "a data race": """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def add():
                box.x += 1

            concur.run(add, add)
    """,
    "an inconclusive test": """
        @pytest.mark.concurrency(max_steps=100)
        def test_program(concur):
            boxes = [Box(), Box()]

            def add(box):
                for _ in range(300):
                    box.x += 1

            concur.run(lambda: add(boxes[0]), lambda: add(boxes[1]))
    """,
}


@pytest.mark.parametrize("text", WARNED_OF.values(), ids=WARNED_OF.keys())
def test_where_warnings_are_errors_one_fails_its_test_and_nothing_else(pytester, text):
    result = run_project(pytester, module(text) + "\n\ndef test_plain():\n    pass\n", "-Werror")

    assert result.outcomes == {"failed": 1, "passed": 1}, result.output
    assert result.exit == pytest.ExitCode.TESTS_FAILED


def test_what_is_handed_over_in_the_call_is_no_race(pytester):
    """The object is made before it is appended, and who takes it knows all about it."""
    text = """
        @pytest.mark.concurrency(data_races="error")
        def test_program(concur):
            boxes = deque()

            def take():
                while not boxes:
                    time.sleep(0.01)
                box = boxes.popleft()
                box.x += 1
                return box.x

            assert concur.run(lambda: boxes.append(Box()), take)[1] == 1
    """

    assert_passes(run_project(pytester, module(text), UNHURRIED))


def test_who_tries_for_a_time_is_in_nobody_s_way(pytester):
    """Locks in opposite orders end in no deadlock if one of them is given up."""
    text = """
        @pytest.mark.concurrency(lock_order="error")
        def test_program(concur):
            one, two = threading.Lock(), threading.Lock()

            def take_both(first, second):
                while True:
                    with first:
                        if second.acquire(timeout=0.1):
                            return second.release()
                    time.sleep(random.random())

            concur.run(lambda: take_both(one, two), lambda: take_both(two, one))
    """

    assert_passes(run_project(pytester, module(text), UNHURRIED))


def test_a_flag_that_stops_a_thread_is_told_as_one(pytester: pytest.Pytester) -> None:
    """However seldom it is looked at: a loop tests its condition at two places of one line."""
    text = """
        class Service:
            running = True

            def serve(self):
                while self.running:
                    time.sleep(0.01)


        @pytest.mark.concurrency
        def test_program():
            service = Service()
            thread = threading.Thread(target=service.serve)
            thread.start()
            service.running = False
            thread.join()
    """
    result = run_project(pytester, module(text))

    assert_passes(result, warnings=["data-race"])
    assert "it may be benign" in result.output
