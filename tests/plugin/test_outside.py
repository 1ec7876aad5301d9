"""What is outside control gets real time: nothing fails because virtual time ran ahead of it."""

from __future__ import annotations

import signal

import pytest
from project import UNHURRIED, assert_fails, module, replay, run_project
from shares import share_out

HELPERS = """
    import signal
    import socket
    import subprocess


    def start(code):
        return subprocess.Popen([sys.executable, "-S", "-c", "import os, sys, time; time.sleep(0.15); " + code])


    def start_to_write(path):
        return start(f"open({str(path)!r}, 'w').close()")


    @pytest.fixture(scope="module")
    def jobs():
        jobs = queue.Queue()

        def work():
            while (job := jobs.get()) is not None:
                time.sleep(0.15)
                job.set()

        worker = threading.Thread(target=work)
        worker.start()
        yield jobs
        jobs.put(None)
        worker.join()

"""

NEED_TIME = {
    "a process is polled until a deadline": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            process = start("")
            deadline = time.monotonic() + 5
            while process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    """,
    "a loop without an end waits for a process": """
        @pytest.mark.concurrency(schedules=2, max_steps=500)
        def test_program(concur):
            process = start("time.sleep(0.5)")
            while process.poll() is None:
                pass
    """,
    "the clock is read until a process has ended": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            process = start("")
            deadline = time.monotonic() + 5
            while process.poll() is None and time.monotonic() < deadline:
                pass
            assert process.returncode == 0
    """,
    "one task waits for a file, another for that task": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur, tmp_path):
            path, is_there = tmp_path / "written", threading.Event()
            process = start_to_write(path)

            def look():
                while not path.exists():
                    time.sleep(0.01)
                is_there.set()

            def wait():
                assert is_there.wait(5)

            concur.run(look, wait)
            process.wait()
    """,
    "a task is in a socket while another waits for it": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            here, there = socket.socketpair()
            received = threading.Event()
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", f"import os, time; time.sleep(0.6); os.write({there.fileno()}, b'x')"],
                pass_fds=[there.fileno()],
            )

            def receive():
                assert here.recv(1) == b"x"
                received.set()

            def wait():
                assert received.wait(5)

            concur.run(receive, wait)
            process.wait()
            here.close()
            there.close()
    """,
    "a thread of a wider fixture answers within a time-out": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur, jobs):
            job = threading.Event()
            jobs.put(job)
            assert job.wait(5)
    """,
    "a signal comes from a process within a time-out": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            came = threading.Event()
            before = signal.signal(signal.SIGUSR1, lambda *args: came.set())
            try:
                process = start("os.kill(os.getppid(), 10)")
                assert came.wait(5)
                process.wait()
            finally:
                signal.signal(signal.SIGUSR1, before)
    """,
}


@pytest.mark.skipif(getattr(signal, "SIGUSR1", None) != 10, reason="the programs send signal 10, SIGUSR1 on Linux")
@share_out("text", NEED_TIME)
def test_the_outside_gets_real_time(pytester, text):
    """Each of these tests is right. Virtual time alone would call it a failure; no schedule is to blame for it."""
    test = run_project(pytester, module(HELPERS) + module(text)).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "in real time" in str(test.uncontrolled) or "released outside control" in str(test.uncontrolled)


@pytest.mark.exhaustive
def test_a_slow_answer_is_waited_for(pytester):
    """A task may be outside control for longer than all others would wait for a thread that nobody knows."""
    text = """
        @pytest.mark.concurrency(schedules=1)
        def test_program(concur):
            here, there = socket.socketpair()
            code = f"import os, time; time.sleep(3); os.write({there.fileno()}, b'x')"
            process = subprocess.Popen([sys.executable, "-S", "-c", code], pass_fds=[there.fileno()])
            received = []

            def receive():
                received.append(here.recv(1))

            concur.run(receive, lambda: None)
            process.wait()
            here.close()
            there.close()
            assert received == [b"x"]
    """

    test = run_project(pytester, module(HELPERS) + module(text)).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "here.recv" in str(test.uncontrolled)
    assert "all tasks blocked" not in str(test.uncontrolled)


def test_a_process_makes_no_search_complete(pytester):
    """Nobody has seen all that may happen if a process takes part."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    """

    test = run_project(pytester, module(HELPERS) + module(text)).test("test_program")

    assert (test.verdict, test.findings, test.explored["complete"]) == ("passed", (), False)


def test_time_outs_that_nobody_prevents_still_fail(pytester):
    """Nothing comes from outside, however long it is waited for: the failure is real."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            assert threading.Event().wait(3600)
    """

    assert_fails(run_project(pytester, module(text)), ["sequential-failure"])


SHORT_TIME_OUTS = {
    "of a socket, for another task": """
        @pytest.mark.concurrency(schedules=5)
        def test_program(concur):
            server = socket.create_server(("127.0.0.1", 0))

            def serve():
                connection, _ = server.accept()
                with connection:
                    connection.sendall(connection.recv(10).upper())

            def ask():
                with socket.create_connection(server.getsockname(), timeout=0.2) as connection:
                    connection.sendall(b"hello")
                    assert connection.recv(10) == b"HELLO"

            concur.run(serve, ask)
            server.close()
    """,
    "of select, for another task": """
        import select

        @pytest.mark.concurrency(schedules=5)
        def test_program(concur):
            here, there = socket.socketpair()

            def get():
                ready, _, _ = select.select([there], [], [], 0.2)
                assert ready

            concur.run(get, lambda: here.send(b"x"))
            here.close()
            there.close()
    """,
}


@share_out("text", SHORT_TIME_OUTS)
def test_a_task_that_waits_in_the_system_does_not_keep_others_from_running(pytester, text):
    """The time-out passes in real time, while the task that would prevent it has no turn: that is our doing."""
    test = run_project(pytester, module(HELPERS) + module(text)).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())


LIBRARY = """
import time


class Expiring:
    def __init__(self, seconds, clock=time.monotonic):
        self._clock = clock
        self._until = clock() + seconds

    def is_over(self):
        return self._clock() > self._until


def wait_for(condition, seconds, pause=0.05):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise ValueError("it took too long")
        time.sleep(pause)
"""


def run_with_library(pytester, text):
    folder = pytester.path / "site-packages"
    folder.mkdir()
    (folder / "library.py").write_text(LIBRARY)
    header = module(f"import sys\nsys.path.insert(0, {str(folder)!r})\nimport library\n")
    return run_project(pytester, header + module(text)).test("test_program")


WITH_LIBRARY = {
    "what expires is slept over": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            expiring = library.Expiring(0.2)
            time.sleep(0.4)
            assert expiring.is_over()
    """,
    "what expires is slept over for long": """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            expiring = library.Expiring(100)
            time.sleep(200)
            assert expiring.is_over()
    """,
}
TAKE_LONG = {"what expires is slept over for long"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=subject, marks=pytest.mark.exhaustive if subject in TAKE_LONG else ())
        for subject, text in WITH_LIBRARY.items()
    ],
)
def test_a_library_that_asks_the_real_clock_makes_no_failure(pytester, text):
    """It is not instrumented, so its time is real while the test's is virtual; the report says how to change that."""
    test = run_with_library(pytester, text)

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "without scope=['library'] it is the real one" in str(test.uncontrolled)


def test_a_library_that_waits_with_pauses_lets_others_run(pytester):
    """It never stands still for long, and uses hardly any processor time."""
    text = """
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            is_done = []
            concur.run(lambda: library.wait_for(is_done.copy, 2), lambda: is_done.append(1))
    """

    test = run_with_library(pytester, text)

    assert (test.verdict, test.findings) == ("inconclusive", ())


def test_the_clock_of_datetime_is_virtual(pytester):
    """An hour passes in no time, by all the clocks that the test's own code may ask."""
    text = """
        from datetime import UTC, date, datetime, timedelta

        @pytest.mark.concurrency(schedules=5)
        def test_program(concur):
            began, today = datetime.now(UTC), date.today()
            time.sleep(24 * 3600)
            assert timedelta(hours=24) <= datetime.now(UTC) - began < timedelta(hours=24, seconds=1)
            assert date.today() - today == timedelta(days=1)
            assert datetime.today().date() == date.today()
    """

    assert run_project(pytester, module(text), UNHURRIED).verdict == "passed"


def test_a_race_beside_a_process_is_found_and_replays(pytester):
    """The clock keeps step with real time, and the schedule still decides what the tasks do."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur, tmp_path):
            process, box = start_to_write(tmp_path / "written"), Box()

            def add():
                seen = box.x
                time.sleep(0.01)
                box.x = seen + 1

            concur.run(add, add)
            process.kill()
            process.wait()
            assert box.x == 2
    """

    result = run_project(pytester, module(HELPERS) + module(text), UNHURRIED)
    found = assert_fails(result, ["assertion"])
    again = replay(pytester, result.only.nodeid, found.token)

    assert again.findings[0].summary == found.summary


def test_a_slow_failure_is_replayed_once(pytester):
    """Where runs take real time, three replays could take minutes."""
    text = """
        @pytest.mark.concurrency(granularity="gil")
        def test_program(concur, request):
            with open(request.config.rootpath / "runs", "a") as runs:
                runs.write("|")
            process, box = start_to_write(os.devnull), Box()

            def add():
                seen = box.x
                time.sleep(0.01)
                box.x = seen + 1

            concur.run(add, add)
            process.kill()
            process.wait()
            assert box.x == 2
    """
    runs = pytester.path / "runs"
    counts = []
    for seconds in (60, 0):
        limit = f"from pytest_concur.explore import search\n\nsearch.REAL_S = {seconds}\n"
        (pytester.path / "conftest.py").write_text(limit, encoding="utf-8")
        result = run_project(pytester, module(HELPERS) + module(text), UNHURRIED, "-p", "no:cacheprovider")
        assert_fails(result, ["assertion"])
        counts.append(len(runs.read_text(encoding="utf-8")))
        runs.unlink()

    of_a_replay = 2  # a sequential run comes first
    assert counts[0] - counts[1] == 2 * of_a_replay
