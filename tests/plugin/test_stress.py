"""Stress: rounds in real threads and real time, behind the controlled runs; what fails there fails the test."""

from __future__ import annotations

import sys

import pytest
from project import module, run_project

from pytest_concur.engine.noise import Noise
from pytest_concur.explore.stress import switch_interval
from pytest_concur.instrument.countdown import CAPACITY, Countdown

pytest_plugins = ["pytester"]

UNSEEN = ("--concur-strategy=dpor", "--concur-schedules=1", "--concur-data-races=ignore")
"""Controlled runs that show no bug: tasks run one after the other."""

COUNTER = """
    class Counter:
        def __init__(self):
            self.value = 0

        def add(self):
            for _ in range(300):
                value = self.value
                self.value = value + 1
"""
"""In two rounds of three a thread is disturbed once in at most 30 points on average, twenty times here or more, half of
the time between reading and writing. That no update is lost in 20 rounds: about 3e-10."""


def body(shape):
    return module(COUNTER + shape)


def test_what_fails_in_a_round_fails_the_test(pytester):
    """With the round, the seed, and no token; the traceback is the test's own."""
    text = body("""
    @pytest.mark.concurrency(stress=20)
    def test_program(concur):
        counter = Counter()
        concur.run(counter.add, counter.add)
        assert counter.value == 600
    """)

    result = run_project(pytester, text, *UNSEEN)

    assert (result.verdict, result.kinds) == ("failed", ("assertion",)), result.output
    assert "seen in stress round " in result.output
    assert "assert counter.value == 600" in result.output
    assert result.findings[0].token == ""
    assert 1 <= result.only.explored["stress_rounds"] <= 20


def test_outcomes_are_not_compared(pytester):
    """Chance and clocks are real in a round: that its values are other ones is no finding."""
    text = module("""
    @pytest.mark.concurrency(stress=5, schedules=3)
    def test_program(concur):
        concur.run(random.random, time.time, lambda: os.urandom(8))
    """)

    result = run_project(pytester, text)

    assert (result.verdict, result.kinds) == ("passed", ()), result.output
    assert result.only.explored["stress_rounds"] == 5


def test_threads_of_their_own(pytester):
    """An exception that ends a thread is a finding as ever."""
    text = body("""
    @pytest.mark.concurrency(stress=20)
    def test_thread():
        counter = Counter()

        def add():
            counter.add()
            together.wait()
            if counter.value != 600:
                raise RuntimeError("lost")

        together = threading.Barrier(2)
        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """)

    result = run_project(pytester, text, *UNSEEN)

    assert result.test("test_thread").kinds == ("exception",), result.output


def test_correct_code_passes_all_rounds(pytester):
    """As many rounds as asked for, each in a fresh world."""
    text = module("""
    @pytest.fixture
    def numbers():
        return []

    @pytest.mark.concurrency(stress=30, schedules=2)
    def test_program(concur, numbers):
        lock = threading.Lock()

        def add():
            for _ in range(20):
                with lock:
                    numbers.append(len(numbers))

        concur.run(add, add, add)
        assert numbers == list(range(60))
    """)

    result = run_project(pytester, text)

    assert result.verdict == "passed", result.output
    assert result.only.explored["stress_rounds"] == 30


def test_a_test_that_measures_gets_none(pytester):
    """Each round would measure; a note says so."""
    text = module("""
    @pytest.mark.concurrency(stress=5, schedules=1)
    def test_program(concur):
        concur.load(int, users=1, seconds=0.05)
    """)

    result = run_project(pytester, text)

    assert (result.verdict, result.only.explored["stress_rounds"]) == ("passed", 0), result.output
    assert "no stress rounds were run: the test measures" in result.output


def test_no_rounds_unless_asked_for(pytester):
    """A test that is all under control is not run freely."""
    text = module("""
    @pytest.mark.concurrency(schedules=2)
    def test_program(concur):
        concur.run(int, int)
    """)

    assert run_project(pytester, text).only.explored["stress_rounds"] == 0


def test_what_was_outside_control_gets_some(pytester):
    """A part blocked where nobody could see: some rounds are run, and what they show counts."""
    text = module("""
    import socket

    @pytest.mark.concurrency(schedules=2)
    def test_program(concur):
        here, there = socket.socketpair()
        with here, there:
            got, _ = concur.run(lambda: here.recv(1), lambda: (time.sleep(0.3), there.send(b"x")))
        assert got == b"x"
    """)

    result = run_project(pytester, text)

    assert result.verdict == "inconclusive", result.output
    assert result.only.uncontrolled
    assert result.only.explored["stress_rounds"] >= 1


def test_who_sleeps_long_is_not_run_freely_unasked(pytester):
    """Under control an hour passes at once; in real time it would not."""
    text = module("""
    import socket

    @pytest.mark.concurrency(schedules=2)
    def test_program(concur):
        here, there = socket.socketpair()
        with here, there:
            concur.run(lambda: here.recv(1), lambda: (time.sleep(3600), there.send(b"x")))
    """)

    result = run_project(pytester, text)

    assert result.verdict == "inconclusive", result.output
    assert result.only.explored["stress_rounds"] == 0


@pytest.mark.parametrize("own", [False, True], ids=["task", "thread of its own"])
def test_a_round_that_hangs_is_given_up(pytester, own):
    """The test is inconclusive, with the place where it stands; other tests run, and pytest ends."""
    pytester.makeconftest("import pytest_concur.session.stressing as s\ns.LIMIT_S = 1.0")
    text = module(
        """
    RUNS = []

    @pytest.mark.concurrency(stress=200, schedules=2, strategy="random")
    def test_program(concur):
        RUNS.append(0)
        if len(RUNS) > 60:
            wait = threading.Event().wait
            if OWN:
                thread = threading.Thread(target=wait)
                thread.start()
                thread.join()
            concur.run(wait)

    def test_after():
        pass
    """.replace("OWN", str(own))
    )

    result = run_project(pytester, text)

    assert result.outcomes == {"passed": 2, "warnings": 1}, result.output
    is_waited_for = own and sys.version_info >= (
        3,
        13,
    )  # before, who is interrupted in a join takes the thread for ended
    assert ("left behind, as they never came back: Thread-" in result.output) == is_waited_for
    assert result.verdict == "inconclusive", result.output
    assert "a stress round was given up: the test has not come back for 1 s" in str(result.only.uncontrolled)


def test_a_time_out_ends_the_rounds(pytester):
    """Rounds fit into what pytest-timeout leaves, and a note says how many were run."""
    pytest.importorskip("pytest_timeout")
    text = module("""
    @pytest.mark.timeout(6)
    @pytest.mark.concurrency(stress=1000, schedules=2)
    def test_program(concur):
        concur.run(lambda: time.sleep(0.1), int)
    """)

    result = run_project(pytester, text, "-p", "timeout")

    assert result.verdict == "passed", result.output
    assert "of 1000 stress rounds were run" in result.output


def test_noise_and_intervals_leave_nothing_behind():
    """The countdown counts as before, and the switch interval is what it was."""
    countdown, before = Countdown(), sys.getswitchinterval()
    noise = Noise(1, countdown)
    noise.start()
    assert 0 <= countdown.armed < 600
    noise()
    noise.stop()

    assert countdown.armed == CAPACITY
    with switch_interval(1e-6):
        assert sys.getswitchinterval() == pytest.approx(1e-6)
    assert sys.getswitchinterval() == before
