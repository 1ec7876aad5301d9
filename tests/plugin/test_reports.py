"""What a report says beside the failure itself: who else has failed, and how to run it again."""

from __future__ import annotations

import re
import shlex
import textwrap

import pytest
from project import UNHURRIED, assert_fails, module, replay, run_project, run_pytest

HIDDEN = {
    "a race": """
        class Pool:
            def __init__(self):
                self.free = [1]

            def take(self):
                if self.free:
                    return self.free.pop()


        @pytest.mark.concurrency
        def test_program():
            pool, taken = Pool(), []

            def work():
                taken.append(pool.take())

            threads = [threading.Thread(target=work) for _ in range(2)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            assert len(taken) == 2
    """,
    "no race": """
        @pytest.mark.concurrency
        def test_program():
            taken = []
            thread = threading.Thread(target=lambda: taken.append([].pop()))
            thread.start()
            thread.join()
            assert len(taken) == 1
    """,
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_report_tells_what_ended_another_thread(pytester, text):
    """The body's assertion is what follows from it; plain pytest would warn of the thread."""
    result = run_project(pytester, module(text), UNHURRIED)

    assert result.exit == pytest.ExitCode.TESTS_FAILED, result.output
    assert re.search(r"has ended with IndexError: pop from empty list \(test_program\.py:\d+\)", result.output)


IN_TASKS = """
    @pytest.mark.concurrency
    def test_program(concur):
        box = Box()

        def add():
            box.x = int(box.x) + 1

        concur.run(add, add)
        assert box.x == 2
"""
IN_THREADS = """
    @pytest.fixture
    def box():
        return Box()


    @pytest.mark.concurrency
    def test_program(box):
        before = box.x
        box.x = int(before) + 1
        assert box.x == before + 1
"""
SETTINGS = {
    "--concur-granularity=gil": IN_TASKS,
    "--concur-timeouts=explore": IN_TASKS,
    "--concur-threads=2": IN_THREADS,
}


@pytest.mark.parametrize(("option", "text"), SETTINGS.items(), ids=SETTINGS.keys())
def test_the_replay_line_has_the_options_that_the_run_had(pytester, option, text):
    """It is copied as it stands."""
    result = run_project(pytester, module(text), UNHURRIED, option)
    found = assert_fails(result, ["assertion"])
    [line] = set(re.findall(rf"replay: pytest (.*--concur-replay={found.token})", result.output))

    again = run_pytest(pytester, *shlex.split(line))

    assert option in line
    assert again.findings[0].summary == found.summary, again.output


@pytest.mark.parametrize("name", ['q"uote', "$HOME", "`id`", "a b", "it's"])
def test_the_replay_line_is_safe_in_a_shell(pytester, name):
    """Names of tests come from parameters, which may be anything."""
    text = f"""
        @pytest.mark.parametrize("name", [{name!r}])
        @pytest.mark.concurrency
        def test_program(concur, name):
            box = Box()

            def add():
                box.x = int(box.x) + 1

            concur.run(add, add)
            assert box.x == 2
    """
    result = run_project(pytester, module(text), UNHURRIED)
    found = assert_fails(result, ["assertion"])

    [line] = set(re.findall(rf"replay: pytest (.*) --concur-replay={found.token}", result.output))

    assert shlex.split(line) == [result.only.nodeid]
    assert not re.search(r"[$`]", re.sub(r"'[^']*'", "", line)), "nothing for the shell to expand"


def test_the_report_is_in_the_xml_file_too(pytester):
    """With the token: a file that a CI keeps is all that is left of a run."""
    result = run_project(pytester, module(IN_TASKS), UNHURRIED, "--junitxml=results.xml")
    found = assert_fails(result, ["assertion"])

    assert f"--concur-replay={found.token}" in (pytester.path / "results.xml").read_text(encoding="utf-8")


def test_a_test_that_fails_outside_its_runs_has_not_passed(pytester):
    """By another plugin, say: the report as JSON does not say that it has."""
    hook = "@pytest.hookimpl(wrapper=True)\ndef pytest_pyfunc_call():\n    yield\n    raise OSError('no room')\n"
    (pytester.path / "conftest.py").write_text(f"import pytest\n\n\n{hook}", encoding="utf-8")

    result = run_project(pytester, module(IN_TASKS.replace("box.x == 2", "box.x")), UNHURRIED)

    assert result.exit == pytest.ExitCode.TESTS_FAILED
    assert result.only.verdict == "inconclusive", result.output


CHECKED_FIRST = {
    "get": 'if shared.get("a") is None:\n    shared["a"] = 1\n    made.append(1)',
    "len": 'if not len(shared):\n    shared["a"] = 1\n    made.append(1)',
    "in": 'if "a" not in shared:\n    shared["a"] = 1\n    made.append(1)',
    "keys": 'if "a" not in list(shared):\n    shared["a"] = 1\n    made.append(1)',
}


@pytest.mark.parametrize("body", CHECKED_FIRST.values(), ids=CHECKED_FIRST.keys())
def test_a_report_shows_what_was_looked_at_before_it_was_changed(pytester, body):
    """A look at a container as a whole is a look at each of its items, too."""
    text = f"""
        @pytest.mark.concurrency
        def test_program(concur):
            shared, made = {{}}, []

            def make():
                {textwrap.indent(body, 16 * " ").lstrip()}

            concur.run(make, make)
            assert made == [1]
    """
    result = run_project(pytester, module(text), UNHURRIED)
    assert_fails(result, ["assertion"])

    assert re.search(r"\| test_program\.py:23 (if|…) .* \[reads.*\]", result.output), result.output
    assert re.search(r"wrote dict\['a'\] = 1 \(.*\) between make 2's read .*\(.*\) and its write of 1", result.output)


LOCKS = {
    "in a dictionary": ('box.locks = {"a": threading.Lock(), 2: threading.Lock()}', 'box.locks["a"]', "box.locks[2]"),
    "in a list": ("box.locks = [threading.Lock(), threading.Lock()]", "box.locks[0]", "box.locks[1]"),
    "in variables": ("one, two = threading.Lock(), threading.Lock()", "one", "two"),
}
NAMES = {
    "in a dictionary": ("Box.locks['a']", "Box.locks[2]"),
    "in a list": ("Box.locks[0]", "Box.locks[1]"),
    "in variables": ("one", "two"),
}


@pytest.mark.parametrize("where", LOCKS)
def test_a_report_calls_locks_by_their_names(pytester, where):
    made, first, second = LOCKS[where]
    text = f"""
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            {made}

            def there():
                with {first}, {second}:
                    pass

            def back():
                with {second}, {first}:
                    pass

            concur.run(there, back)
    """
    found = assert_fails(run_project(pytester, module(text), UNHURRIED), ["deadlock"])

    assert all(f"waits for lock {name} held by" in found.summary for name in NAMES[where]), found.summary


def test_a_report_shows_which_locks_were_taken_and_who_waits(pytester):
    """In order, also where nothing else is shared; what was taken and given back before is no part of it."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            one, two = threading.Lock(), threading.Lock()

            def there():
                with two:
                    pass
                with one:
                    with two:
                        pass

            def back():
                with two:
                    with one:
                        pass

            concur.run(there, back)
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert_fails(result, ["deadlock"])
    rows = [line for line in result.output.splitlines() if "[takes]" in line or "[waits]" in line]
    cells = [row.strip("> |").split(" ", 1)[1] for row in rows]
    assert sorted(cells[:2]) == ["with one: [takes]", "with two: [takes]"]
    assert sorted(cells[2:]) == ["with one: [waits]", "with two: [waits]"]


def test_a_report_tells_what_was_chosen(pytester):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            first, second = concur.choose([1, 2, 3]), concur.choose(["left", "right"])
            assert (first, second) != (3, "right")
    """

    assert "concur.choose gave 3, 'right'." in run_project(pytester, module(text), UNHURRIED).output


def test_a_mistake_of_the_tests_is_called_one(pytester):
    """The traceback ends in the user's line, and nobody is sent to look for state that outlives a run."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            concur.run(5)
    """
    output = run_project(pytester, module(text)).output

    assert "This is how the test uses pytest-concur, and no concurrency bug." in output
    assert "fixture.py" not in output
    assert "outlives" not in output


def test_a_refused_token_needs_few_words(pytester):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            concur.run(int)
    """
    output = run_project(pytester, module(text), "--concur-replay=c1AAAA").output

    assert "copy the whole token from the last line of the failure report" in output
    assert "pytest_pyfunc_call" not in output


PRINTED = """
    @pytest.mark.concurrency
    def test_program(concur):
        box = Box()

        def add():
            seen = box.x
            box.x = seen + 1

        concur.run(add, add)
        assert box.x == 2
"""


def test_a_print_above_a_switch_does_a_replay_no_harm(pytester):
    """What only one task has may be looked at; the places of the switches are told by the text of their lines."""
    result = run_project(pytester, module(PRINTED), UNHURRIED)
    (found, *_) = result.findings
    pytester.path.joinpath("test_program.py").write_text(
        module(PRINTED.replace("            box.x = seen", '            print("seen", seen)\n            box.x = seen'))
    )

    again = replay(pytester, result.only.nodeid, found.token)

    assert again.findings[0].summary == found.summary
    assert "seen 0" in again.output


def test_a_look_before_a_write_is_no_flag(pytester):
    """It may be seen twice: but not in a loop."""
    text = """
        class Cache:
            def __init__(self):
                self.made = {}
                self.last = None

            def get(self, key):
                if self.last != key:
                    self.last = key
                return self.last


        @pytest.mark.concurrency
        def test_program(concur):
            cache = Cache()

            def use():
                cache.get(1)
                cache.get(2)

            concur.run(use, use)
    """
    output = run_project(pytester, module(text), UNHURRIED).output

    assert "data race: Cache.last" in output
    assert "it may be benign" not in output


@pytest.mark.parametrize(
    "start", ["thread = threading.Thread(target=work, name='helper'); thread.start()", "concur.start(work)"]
)
def test_a_report_tells_who_was_not_waited_for(pytester, start):
    text = f"""
        @pytest.mark.concurrency
        def test_program(concur):
            done = []

            def work():
                done.append(1)

            {start}
            assert done == [1]
    """
    output = run_project(pytester, module(text), UNHURRIED).output

    assert re.search(r"When the test failed, (helper|work) had not ended: is a join missing\?", output), output


EXPLAINED = {
    "a value is not there yet when it is said to be": (
        """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()
            box.ready = False

            def give():
                box.ready = True
                box.x = 5

            def take():
                if box.ready:
                    assert box.x == 5

            concur.run(give, take)
        """,
        [
            "  give wrote Box.ready = True (*) before take read it = True (*),",
            "  and take read Box.x = 0 (*) before give wrote it = 5 (*);",
            "  with one task after the other, either give comes first in both places, or take",
        ],
    ),
    "a dictionary is changed while it is gone over": (
        """
        @pytest.mark.concurrency
        def test_program(concur):
            stock = {"a": 1, "b": 2}

            def count():
                return sum(number for number in stock.values())

            def add():
                stock["c"] = 3

            concur.run(count, add)
        """,
        ["  add wrote dict['c'] = 3 (*) between count's read (*) and its read (*);"],
    ),
    "at the granularity of the GIL": (
        """
        @pytest.mark.concurrency(granularity="gil")
        def test_program(concur):
            box = Box()

            def add():
                box.x = int(box.x) + 1

            concur.run(add, add)
            assert box.x == 2
        """,
        ["  add wrote Box.x = 1 (*) between add's read of 0 (*) and its write of 1 (*);"],
    ),
    "at the granularity of synchronization": (
        """
        @pytest.mark.concurrency(granularity="sync")
        def test_program(concur):
            box, lock = Box(), threading.Lock()

            def add():
                with lock:
                    x = box.x
                with lock:
                    box.x = x + 1

            concur.run(add, add)
            assert box.x == 2
        """,
        ["  add wrote Box.x = 1 (*) between add's read of 0 (*) and its write of 1 (*);"],
    ),
    "methods of the program's own that are called like those of containers": (
        """
        class Stock:
            def __init__(self):
                self.number = 3

            def remove(self, count):
                self.number -= count

            def get(self):
                return self.number

        @pytest.mark.concurrency
        def test_program(concur):
            stock = Stock()

            def sell():
                if stock.get() >= 2:
                    stock.remove(2)

            concur.run(sell, sell)
            assert stock.number >= 0
        """,
        ["  sell wrote Stock.number = 1 (*) between sell 2's read of 3 (*) and its read of 1 (*);"],
    ),
    "a time-out that comes early": (
        """
        @pytest.mark.concurrency(timeouts="explore")
        def test_program(concur):
            done = threading.Event()
            task = concur.start(done.set)
            assert done.wait(1)
        """,
        ["  main waited for Event.wait() of done at *, and its time was over although others could run"],
    ),
}


@pytest.mark.parametrize(("text", "why"), EXPLAINED.values(), ids=EXPLAINED.keys())
def test_why(pytester, text, why):
    result = run_project(pytester, module(text), UNHURRIED)

    assert result.verdict == "failed", result.output
    told = ["why:", *(line.replace("[", "[[]") for line in why)]
    pytest.LineMatcher(result.output.replace("add 2", "add").splitlines()).fnmatch_lines(told)


def test_a_long_run_is_shown_around_what_explains_its_failure(pytester):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def add():
                for _ in range(50):
                    box.x += 1

            concur.run(add, add)
            assert box.x == 100
    """
    lines = run_project(pytester, module(text), UNHURRIED).output.splitlines()

    why = next(line for line in lines if " wrote Box.x = " in line)
    figures = re.findall(r"(?:= |of )(\d+)", why)
    table = [line for line in lines if "[reads " in line or "[writes " in line]
    assert len(figures) == 3
    assert all(any(f" {each}]" in row for row in table) for each in figures)
    assert len(table) < 60
    assert any(re.fullmatch(r"  … \d+ rows", line) for line in lines)


def test_queues_have_names_in_reports_of_deadlocks(pytester):
    text = """
        class Pipe:
            def __init__(self):
                self.jobs, self.results = queue.Queue(1), queue.Queue(1)

        @pytest.mark.concurrency
        def test_program(concur):
            pipe = Pipe()

            def work():
                for _ in range(3):
                    pipe.results.put(pipe.jobs.get())

            concur.start(work)
            for job in range(3):
                pipe.jobs.put(job)
            pipe.jobs.put(3)
            pipe.jobs.put(4)
    """
    found = assert_fails(run_project(pytester, module(text), UNHURRIED), ["deadlock"])

    assert "Queue.put() of Pipe.jobs" in found.summary
    assert "Queue.put() of Pipe.results" in found.summary


def test_expected_failures_are_told_as_such(pytester):
    """And a test that passes although it is expected to fail has still been seen to pass by us."""
    text = """
        @pytest.mark.xfail
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def add():
                box.x += 1

            concur.run(add, add)
            assert box.x == 2


        @pytest.mark.xfail(strict=True)
        @pytest.mark.concurrency
        def test_other(concur):
            concur.run(int, int)
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert [test.verdict for test in result.tests] == ["passed", "failed"]
    assert "1 failed (1 as expected)" in result.output
    assert result.outcomes == {"xfailed": 1, "failed": 1, "warnings": 1}


def test_a_look_at_what_is_half_made_goes_unnoticed(pytester):
    """The run that is observed for the report is the program's all the same."""
    text = """
        import enum


        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def add():
                class Colour(enum.Enum):
                    RED = 1

                    def __new__(cls, value):
                        box.latest = object.__new__(cls)
                        box.latest._value_ = value
                        return box.latest

                box.parts = [10**5000]
                x = box.x
                box.x = x + 1

            concur.run(add, add)
            assert box.x == 2
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert_fails(result, ["assertion"])
    assert re.search(r"wrote Box\.x = 1 .* between .* read of 0 .* and its write of 1", result.output), result.output
