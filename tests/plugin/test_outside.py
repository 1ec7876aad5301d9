"""What is outside control gets real time: nothing fails because virtual time ran ahead of it."""

from __future__ import annotations

import os
import signal

import pytest
from project import assert_fails, module, replay, run_project

HELPERS = """
    import signal
    import socket
    import subprocess


    def start(code):
        return subprocess.Popen([sys.executable, "-S", "-c", "import os, sys, time; time.sleep(0.3); " + code])


    def start_to_write(path):
        return start(f"open({str(path)!r}, 'w').close()")


    @pytest.fixture(scope="module")
    def jobs():
        jobs = queue.Queue()

        def work():
            while (job := jobs.get()) is not None:
                time.sleep(0.3)
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
        @pytest.mark.concurrency(schedules=2)
        def test_program(concur):
            process = start("")
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
                [sys.executable, "-S", "-c", f"import os, time; time.sleep(0.8); os.write({there.fileno()}, b'x')"],
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
@pytest.mark.parametrize("text", NEED_TIME.values(), ids=NEED_TIME.keys())
def test_the_outside_gets_real_time(pytester, text):
    """Each of these tests is right. Virtual time alone would call it a failure; no schedule is to blame for it."""
    test = run_project(pytester, module(HELPERS) + module(text)).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
    assert "in real time" in str(test.uncontrolled) or "released outside control" in str(test.uncontrolled)


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

    result = run_project(pytester, module(HELPERS) + module(text))
    found = assert_fails(result, ["assertion"])
    again = replay(pytester, result.only.nodeid, found.token)

    assert again.findings[0].summary == found.summary


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="this system does not tell whether there are children")
def test_signs_of_the_outside():
    """A child is one as long as nobody has asked for its end, and so is a socket as long as it is open."""
    code = "import os, socket, subprocess, sys; from pytest_concur.engine.outside import has_signs as s; r = [s()];"
    code += "p = subprocess.Popen([sys.executable, '-S', '-c', '']); r.append(s()); p.wait(); r.append(s());"
    code += "a = socket.socket(); r.append(s()); a.close(); r.append(s()); print(r)"
    import subprocess
    import sys

    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, stdin=subprocess.DEVNULL, text=True)

    assert seen.stdout == "[False, True, False, True, False]\n", seen.stderr
