"""Tiny programs that thread-testing tools are known to get wrong, each with the verdict it deserves.

Every probe is a whole test module with one marked test, ``test_probe``. Failing probes are also replayed, so the
verdict is not luck: the printed token must bring the same failure back.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from project import UNHURRIED, fails, module, passes, replay, run_programs
from shares import shared_out

SCHEDULES_OF_A_CORRECT_PROBE = "--concur-schedules=80"


@dataclass(frozen=True, slots=True)
class Probe:
    """One tiny program and the right answer."""

    name: str
    """What the program is about."""

    text: str
    """Body of the test module, below the usual imports."""

    verdict: str
    """``passed`` or ``failed``."""

    kinds: frozenset[str] = frozenset()
    """Failing probes: kinds that explain the bug. Passing probes: warnings that are true of the program."""


def correct(name: str, text: str, *warnings: str) -> Probe:
    """Return a correct probe that may show ``warnings``."""
    return Probe(name, text, "passed", frozenset(warnings))


def buggy(name: str, text: str, *kinds: str) -> Probe:
    """Return a buggy probe that fails for one of ``kinds``."""
    return Probe(name, text, "failed", frozenset(kinds))


EVENT_TIMEOUT = """
    {marker}
    def test_probe(concur):
        ready = threading.Event()
        arrived = []

        def waiter():
            arrived.append(ready.wait(timeout=0.1))

        def setter():
            ready.set()

        concur.run(waiter, setter)
        assert arrived == [True]
"""

PROBES = [
    buggy(
        "a lost update in a ThreadPoolExecutor inside a task",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def add():
                box.x += 1

            def work():
                with ThreadPoolExecutor(max_workers=2) as pool:
                    pool.submit(add)
                    pool.submit(add)

            concur.run(work)
            assert box.x == 2
        """,
        "assertion",
    ),
    buggy(
        "a lost update between Threads inside a task",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def add():
                box.x += 1

            def work():
                threads = [threading.Thread(target=add), threading.Thread(target=add)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

            concur.run(work)
            assert box.x == 2
        """,
        "assertion",
    ),
    buggy(
        "a lost update between threads of a Thread subclass inside a task",
        """
        class Adder(threading.Thread):
            def __init__(self, box):
                super().__init__()
                self.box = box

            def run(self):
                self.box.x += 1


        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def work():
                threads = [Adder(box), Adder(box)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

            concur.run(work)
            assert box.x == 2
        """,
        "assertion",
    ),
    buggy(
        "a race behind a Barrier",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()
            barrier = threading.Barrier(2)

            def add():
                barrier.wait()
                box.x += 1

            concur.run(add, add)
            assert box.x == 2
        """,
        "assertion",
    ),
    correct(
        "a Lock imported by name",
        """
        from threading import Lock


        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()
            lock = Lock()

            def add():
                with lock:
                    box.x += 1

            concur.run(add, add)
            assert box.x == 2
        """,
    ),
    correct(
        "a module-level Lock made at import",
        """
        LOCK = threading.Lock()


        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def add():
                with LOCK:
                    box.x += 1

            concur.run(add, add)
            assert box.x == 2
        """,
    ),
    buggy(
        "a race across time.sleep",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def add():
                value = box.x
                time.sleep(0.01)
                box.x = value + 1

            concur.run(add, add)
            assert box.x == 2
        """,
        "assertion",
    ),
    buggy(
        "an Event timeout that fires early, when explored",
        EVENT_TIMEOUT.format(marker='@pytest.mark.concurrency(timeouts="explore")'),
        "assertion",
    ),
    correct(
        "an Event timeout beside a task that can set the event",
        EVENT_TIMEOUT.format(marker="@pytest.mark.concurrency"),
    ),
    correct(
        "a hand-off through a SimpleQueue",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            channel = queue.SimpleQueue()
            received = []

            def send():
                for number in range(3):
                    channel.put(number)

            def receive():
                for _ in range(3):
                    received.append(channel.get())

            concur.run(send, receive)
            assert received == [0, 1, 2]
        """,
    ),
    buggy(
        "a Semaphore(2) used as a mutex",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()
            mutex = threading.Semaphore(2)

            def add():
                with mutex:
                    box.x += 1

            concur.run(add, add)
            assert box.x == 2
        """,
        "assertion",
    ),
    buggy(
        "an Event that nobody sets",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            ready = threading.Event()

            def wait():
                ready.wait()

            concur.run(wait)
        """,
        "deadlock",
    ),
    correct(
        "a nested RLock",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()
            lock = threading.RLock()

            def add():
                with lock:
                    with lock:
                        box.x += 1

            concur.run(add, add)
            assert box.x == 2
        """,
    ),
    buggy(
        "popleft after a truth test of a deque",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            items = deque(["only"])

            def take():
                if items:
                    items.popleft()

            concur.run(take, take)
        """,
        "exception",
    ),
    buggy(
        "a generator shared by two tasks",
        """
        def numbers(box):
            while True:
                box.x += 1
                yield box.x


        @pytest.mark.concurrency
        def test_probe(concur):
            shared = numbers(Box())

            def take():
                next(shared)

            concur.run(take, take)
        """,
        "exception",
    ),
    buggy(
        "a dict that grows during iteration",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            table = {"a": 1, "b": 2}
            seen = []

            def read():
                for key in table:
                    seen.append(key)

            def write():
                table["c"] = 3

            concur.run(read, write)
        """,
        "exception",
    ),
    buggy(
        "a task that raises only between two writes of another",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def write():
                box.x = 1
                box.x = 2

            def read():
                if box.x == 1:
                    raise ValueError("half written")

            concur.run(write, read)
        """,
        "exception",
    ),
    correct(
        "a pure spin wait",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def wait():
                while not box.x:
                    pass

            def go():
                box.x = 1

            concur.run(wait, go)
            assert box.x == 1
        """,
        "data-race",
    ),
    buggy(
        "a race in a program that consults unseeded random",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()
            coins = Box()

            def add():
                if random.random() < 0.5:
                    coins.x = 1
                box.x += 1

            concur.run(add, add)
            assert box.x == 2
        """,
        "assertion",
    ),
    buggy(
        "a lost update through vars()",
        """
        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def add():
                vars(box)["x"] += 1

            concur.run(add, add)
            assert box.x == 2
        """,
        "assertion",
    ),
    buggy(
        "a lost update of an attribute of a call result",
        """
        def get(box):
            return box


        @pytest.mark.concurrency
        def test_probe(concur):
            box = Box()

            def add():
                get(box).x = get(box).x + 1

            concur.run(add, add)
            assert box.x == 2
        """,
        "assertion",
    ),
]


def test_correct_probes_pass(pytester):
    """Correct programs pass, and all of each ran under control."""
    probes = {probe.name: probe for probe in PROBES if probe.verdict == "passed"}
    texts = {name: module(probe.text) for name, probe in probes.items()}

    ran = run_programs(pytester, texts, SCHEDULES_OF_A_CORRECT_PROBE, UNHURRIED)

    assert ran.misjudged(lambda name, test: passes(test, probes[name].kinds)) == {}, ran.result.output


@shared_out
def test_buggy_probes_fail_and_their_tokens_replay(pytester, part):
    """Buggy programs fail for the right reason, and the token brings the same kind of failure back."""
    probes = {probe.name: probe for probe in part([probe for probe in PROBES if probe.verdict == "failed"])}

    ran = run_programs(pytester, {name: module(probe.text) for name, probe in probes.items()}, UNHURRIED)

    assert ran.misjudged(lambda name, test: fails(test, probes[name].kinds)) == {}, ran.result.output
    for name in part(probes):  # each a process: everyday, of a third a third
        [test] = ran.of(name)
        finding = next(finding for finding in test.findings if finding.kind in probes[name].kinds)
        again = replay(pytester, test.nodeid, finding.token)
        assert again.exit == pytest.ExitCode.TESTS_FAILED, again.output
        assert finding.kind in again.output
        assert finding.kind in again.kinds
