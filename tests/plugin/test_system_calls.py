"""Tasks meet in files and databases, too: where the user's code calls the system, another task may go first."""

from __future__ import annotations

import pytest
from project import UNHURRIED, assert_fails, module, replay, run_project
from shares import share_out

HELPERS = """
    import sqlite3


    def read(path):
        with open(path) as file:
            return file.read()


    def write(path, text):
        with open(path, "w") as file:
            file.write(text)


    def stock(path, number=None):
        with sqlite3.connect(path) as connection:
            if number is not None:
                connection.execute("CREATE TABLE stock (number INTEGER)")
                connection.execute("INSERT INTO stock VALUES (?)", (number,))
            found = connection.execute("SELECT number FROM stock").fetchone()[0]
        connection.close()
        return found

"""

RACY = {
    "looks for a file, then makes it": """
        @pytest.mark.concurrency
        def test_program(concur, tmp_path):
            def claim():
                if (tmp_path / "claim").exists():
                    return False
                (tmp_path / "claim").touch()
                return True

            assert sorted(concur.run(claim, claim)) == [False, True]
    """,
    "reads a number in a file, writes the next": """
        @pytest.mark.concurrency
        def test_program(concur, tmp_path):
            write(tmp_path / "number", "0")

            def add():
                number = int(read(tmp_path / "number") or 0)
                write(tmp_path / "number", str(number + 1))

            concur.run(add, add)
            assert read(tmp_path / "number") == "2"
    """,
    "reads a row, then updates it": """
        @pytest.mark.concurrency
        def test_program(concur, tmp_path):
            path = tmp_path / "shop.db"
            stock(path, 2)

            def take():
                connection = sqlite3.connect(path, isolation_level=None)
                (left,) = connection.execute("SELECT number FROM stock").fetchone()
                connection.execute("UPDATE stock SET number = ?", (left - 1,))
                connection.close()

            concur.run(take, take)
            assert stock(path) == 0
    """,
}

CORRECT = {
    "makes a file that must not exist": """
        @pytest.mark.concurrency(schedules=40)
        def test_program(concur, tmp_path):
            def claim():
                try:
                    (tmp_path / "claim").touch(exist_ok=False)
                except FileExistsError:
                    return False
                return True

            assert sorted(concur.run(claim, claim)) == [False, True]
    """,
    "reads and writes a file under a lock": """
        @pytest.mark.concurrency(schedules=40)
        def test_program(concur, tmp_path):
            write(tmp_path / "number", "0")
            lock = threading.Lock()

            def add():
                with lock:
                    write(tmp_path / "number", str(int(read(tmp_path / "number")) + 1))

            concur.run(add, add)
            assert read(tmp_path / "number") == "2"
    """,
    "updates a row in one statement": """
        @pytest.mark.concurrency(schedules=40)
        def test_program(concur, tmp_path):
            path = tmp_path / "shop.db"
            stock(path, 2)

            def take():
                connection = sqlite3.connect(path, isolation_level=None)
                connection.execute("UPDATE stock SET number = number - 1")
                connection.close()

            concur.run(take, take)
            assert stock(path) == 0
    """,
    "guards a number by a lock of the file system": """
        import fcntl

        @pytest.mark.concurrency(schedules=40, data_races="error")
        def test_program(concur, tmp_path):
            box = Box()

            def add():
                with open(tmp_path / "lock", "w") as file:
                    while True:
                        try:
                            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                            break
                        except BlockingIOError:
                            time.sleep(0.01)
                    box.x += 1

            concur.run(add, add)
            assert box.x == 2
    """,
}


@share_out("text", RACY)
def test_a_race_through_the_system_is_found(pytester, text):
    """No object of Python's is shared; the schedule decides all the same, and the token replays it."""
    result = run_project(pytester, module(HELPERS) + module(text), UNHURRIED)
    found = assert_fails(result, ["assertion", "exception"])
    again = replay(pytester, result.only.nodeid, found.token)

    assert found.schedule <= 100
    assert "[calls]" in result.output
    assert [each.kind for each in again.findings][:1] == [found.kind]


@pytest.mark.exhaustive
def test_a_race_through_a_database_counts_however_long_it_takes(pytester):
    """An hour of virtual time; ten seconds of real time show that nobody else has a hand in it."""
    text = RACY["reads a row, then updates it"].replace(
        'connection.execute("UPDATE', 'time.sleep(3600)\n                connection.execute("UPDATE'
    )

    assert_fails(run_project(pytester, module(HELPERS) + module(text), UNHURRIED), ["assertion"])


def test_the_gil_does_not_prevent_it(pytester):
    """What asks the system lets the GIL go first: switches at its polls alone find the race, too."""
    text = RACY["looks for a file, then makes it"].replace(
        "@pytest.mark.concurrency", '@pytest.mark.concurrency(granularity="gil")'
    )

    assert assert_fails(run_project(pytester, module(text), UNHURRIED), ["assertion"]).gil == "reachable"


@share_out("text", CORRECT)
def test_what_the_system_keeps_apart_passes(pytester, text):
    """The twins are right. No order of theirs is wrong, and none is said to be the last."""
    test = run_project(pytester, module(HELPERS) + module(text), UNHURRIED).test("test_program")

    assert (test.verdict, test.findings, test.explored["complete"]) == ("passed", (), False)


def test_a_transaction_may_make_another_wait(pytester):
    """A task that waits in the database, for as long as it is told to, is no failure: the other one goes on."""
    text = """
        @pytest.mark.concurrency(schedules=20)
        def test_program(concur, tmp_path):
            path = tmp_path / "shop.db"
            stock(path, 2)

            def take():
                connection = sqlite3.connect(path, isolation_level=None, timeout=0.3)
                connection.execute("BEGIN IMMEDIATE")
                (left,) = connection.execute("SELECT number FROM stock").fetchone()
                connection.execute("UPDATE stock SET number = ?", (left - 1,))
                connection.execute("COMMIT")
                connection.close()

            concur.run(take, take)
            assert stock(path) == 0
    """

    test = run_project(pytester, module(HELPERS) + module(text), UNHURRIED).test("test_program")

    assert (test.verdict, test.findings) == ("inconclusive", ())
