"""Other plugins and tools in the same session: pytest-xdist, pytest-timeout, Hypothesis and coverage.py.

Each keeps its promise beside ours, or is refused with a message; none of them changes a verdict.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Set

import pytest
from project import HANG_S, UNHURRIED, assert_passes, module, run_project, run_pytest


@pytest.fixture(autouse=True)
def every_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the neighbours are the subject: their plugins load as usual."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")


SIX_TESTS = module(
    """
    def run_adders(concur, guarded, tasks):
        box = Box()
        lock = threading.Lock()

        def add():
            if guarded:
                with lock:
                    box.x += 1
            else:
                box.x += 1

        concur.run(*[add] * tasks)
        assert box.x == tasks


    @pytest.mark.concurrency(schedules=200)
    @pytest.mark.parametrize("tasks", [2, 3])
    @pytest.mark.parametrize("guarded", [True, False])
    def test_adders(concur, guarded, tasks):
        run_adders(concur, guarded, tasks)


    @pytest.mark.concurrency(schedules=200)
    class TestOrder:
        def test_one_order(self, concur):
            first, second = threading.Lock(), threading.Lock()

            def one():
                with first, second:
                    pass

            concur.run(one, one)

        def test_two_orders(self, concur):
            first, second = threading.Lock(), threading.Lock()

            def one():
                with first, second:
                    pass

            def two():
                with second, first:
                    pass

            concur.run(one, two)


    def test_unmarked():
        pass
    """
)


def test_xdist_changes_no_verdict_and_writes_one_report(pytester):
    """With two workers every marked test has the verdict it has without them, all in one JSON report."""
    pytest.importorskip("xdist")
    options = ("--cache-clear", "--concur-schedules=60", UNHURRIED)
    alone = run_project(pytester, SIX_TESTS, *options)

    spread = run_pytest(pytester, *options, "-n", "2")

    assert {test.nodeid: test.verdict for test in alone.tests} == {
        "test_program.py::test_adders[True-2]": "passed",
        "test_program.py::test_adders[True-3]": "passed",
        "test_program.py::test_adders[False-2]": "failed",
        "test_program.py::test_adders[False-3]": "failed",
        "test_program.py::TestOrder::test_one_order": "passed",
        "test_program.py::TestOrder::test_two_orders": "failed",
    }
    assert len(spread.tests) == len(alone.tests), spread.output
    assert {test.nodeid: (test.verdict, set(test.kinds)) for test in spread.tests} == {
        test.nodeid: (test.verdict, set(test.kinds)) for test in alone.tests
    }
    assert spread.outcomes == alone.outcomes, spread.output
    assert (alone.outcomes["failed"], alone.outcomes["passed"]) == (3, 4)
    assert spread.exit == alone.exit == pytest.ExitCode.TESTS_FAILED


LARGE_AND_CORRECT = """
    {mark}
    @pytest.mark.concurrency(seconds=60, schedules=10_000_000)
    def test_program(concur):
        box = Box()
        lock = threading.Lock()

        def add():
            for _ in range(10):
                with lock:
                    box.x += 1

        concur.run(add, add, add)
        assert box.x == 30
"""


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ('@pytest.mark.timeout(3, method="thread")', ()),
        pytest.param("", ("--timeout=3", "--timeout-method=signal"), marks=pytest.mark.skipif("os.name != 'posix'")),
    ],
    ids=["mark, thread", "command line, signal"],
)
def test_exploration_stays_inside_a_timeout(pytester, mark, options):
    """A test with a timeout of pytest-timeout explores for less time than that, whatever its own budget, and passes."""
    pytest.importorskip("pytest_timeout")

    result = run_project(pytester, module(LARGE_AND_CORRECT.format(mark=mark)), *options)

    assert_passes(result)
    assert result.only.explored["schedules"] > 1
    assert result.only.explored["seconds"] < 3


@pytest.mark.skipif("os.name != 'posix'")
def test_a_timeout_by_a_signal_ends_the_test_at_once(pytester):
    """The sequential runs alone take longer; what the handler raises is no failure of the body's, to be run again."""
    pytest.importorskip("pytest_timeout")
    text = """
        @pytest.mark.timeout(1, method="signal")
        @pytest.mark.concurrency
        def test_program(concur):
            def compute():
                sum(range(10_000_000))

            concur.run(compute, compute, compute)
    """

    result = run_project(pytester, module(text))

    assert result.outcomes == {"failed": 1}, result.output
    assert "Timeout (>1.0s) from pytest-timeout" in result.output
    assert (result.verdict, result.findings) == ("inconclusive", ())
    assert "time-out has cut off" in str(result.only.uncontrolled)


GIVEN = "@given(number=strategies.integers())"
MARKER = "@pytest.mark.concurrency"


@pytest.mark.parametrize("decorators", [(MARKER, GIVEN), (GIVEN, MARKER)], ids=["marker above", "marker below"])
def test_given_with_the_marker_is_refused(pytester, decorators):
    """A test that is both marked and @given never passes; the message names the test and @given."""
    pytest.importorskip("hypothesis")
    head = "from hypothesis import given, strategies\n\n\n" + "\n".join(decorators)
    text = module(head + "\ndef test_program(number):\n    assert number == number\n")

    result = run_project(pytester, text)

    assert result.exit not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR), result.output
    assert "passed" not in result.outcomes, result.output
    assert "test_program" in result.output
    assert "@given" in result.output


def test_unmarked_hypothesis_tests_are_unaffected(pytester):
    """Beside a marked test, an unmarked @given test runs its examples, and finds its own failures, as ever."""
    pytest.importorskip("hypothesis")
    text = module(
        """
        from hypothesis import given, settings, strategies

        SEEN = []


        @pytest.mark.concurrency(schedules=50)
        def test_program(concur):
            concur.run(lambda: None, lambda: None)


        @settings(max_examples=30, database=None, derandomize=True)
        @given(number=strategies.integers())
        def test_examples(number):
            SEEN.append(number)


        def test_examples_were_seen():
            assert len(SEEN) == 30


        @settings(database=None, derandomize=True)
        @given(number=strategies.integers())
        def test_falsifiable(number):
            assert number < 1000
        """
    )

    result = run_project(pytester, text)

    assert result.verdict == "passed", result.output
    assert result.outcomes == {"passed": 3, "failed": 1}, result.output
    assert "number=1000" in result.output


BANK = """\
class Account:
    def __init__(self, balance):
        self.balance = balance


def transfer(source, target, amount, lock):
    with lock:
        if source.balance < amount:
            return False
        source.balance -= amount
        for _ in range(1):
            target.balance += amount
    return True


def never_called():
    return None
"""

BANK_TEST = """\
import threading

import pytest
from bank import Account, transfer


@pytest.mark.concurrency(schedules=20)
def test_program(concur):
    a, b = Account(100), Account(100)
    lock = threading.Lock()
    done = concur.run(
        lambda: transfer(a, b, 30, lock),
        lambda: transfer(b, a, 50, lock),
        lambda: transfer(a, b, 1000, lock),
    )
    assert done == [True, True, False]
    assert a.balance + b.balance == 200
"""


@pytest.mark.parametrize(
    "core",
    ["ctrace", pytest.param("sysmon", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="3.12+"))],
)
def test_coverage_measures_the_same_lines(pytester, monkeypatch, core):
    """coverage.py sees the same executed lines of a module that tasks run, explored or with the plugin off."""
    pytest.importorskip("coverage")
    monkeypatch.setenv("COVERAGE_CORE", core)
    (pytester.path / "bank.py").write_text(BANK, encoding="utf-8")
    (pytester.path / "test_program.py").write_text(BANK_TEST, encoding="utf-8")

    explored = _lines_covered(pytester, "explored.data")
    off = _lines_covered(pytester, "off.data", "--concur=off")

    assert explored == off
    body_of_transfer = {7, 8, 9, 10, 11, 12, 13}
    assert body_of_transfer < explored
    assert BANK.count("\n") not in explored, "the body of never_called"


def _lines_covered(pytester: pytest.Pytester, data_file: str, *args: str) -> Set[int]:
    from coverage import CoverageData

    command = [sys.executable, "-m", "coverage", "run", f"--data-file={data_file}", "--source=."]
    run = pytester.run(*command, "-m", "pytest", "test_program.py", *args, timeout=HANG_S)
    run.assert_outcomes(passed=1)

    data = CoverageData(basename=str(pytester.path / data_file))
    data.read()
    (bank,) = [name for name in data.measured_files() if os.path.basename(name) == "bank.py"]
    return set(data.lines(bank) or ())


MEASURING = """
    def in_a_thread():
        thread = threading.Thread(target=time.sleep, args=(0.002,))
        thread.start()
        thread.join()
        return 1


    {marks}
    def test_program(concur):
        concur.compare(sequential=lambda: time.sleep(0.0005) or 1, concurrent=in_a_thread)
"""

QUICK = ("--concur-schedules=3", "--concur-measure-seconds=0.5")


def measuring(*marks):
    return module(MEASURING.replace("{marks}", "\n    ".join(f"@pytest.mark.{mark}" for mark in marks)))


def test_xdist_workers_do_not_measure(pytester):
    """They run the workload once and explore it; one line says that nothing was measured."""
    pytest.importorskip("xdist")
    result = run_project(pytester, measuring("concurrency(min_speedup=1.0)"), *QUICK, "-n", "1")

    assert result.verdict == "passed", result.output
    assert result.only.measurements == ()
    assert result.output.count("ran without measuring, as pytest-xdist was at work") == 1


def test_measuring_under_xdist_on_request(pytester):
    """The figures reach the controller, and its report; with nobody to run it again, all three measurements follow."""
    pytest.importorskip("xdist")
    text = measuring("concurrency(min_speedup=1.0)")
    result = run_project(pytester, text, *QUICK, "-n", "1", "--concur-measure-under-xdist")

    assert result.kinds == ("premature-concurrency",), result.output
    assert result.only.measurements[0]["verdict"] == "premature"
    assert "ran without measuring" not in result.output


def test_baselines_are_written_from_xdist_too(pytester):
    """The controller measures in fresh processes, after its workers."""
    pytest.importorskip("xdist")
    update = ("--concur-update-baselines", "--concur-baseline-sessions=1")
    result = run_project(pytester, measuring("concurrency"), *QUICK, "-n", "1", *update)

    assert "1 sessions of" in result.output
    assert (pytester.path / ".concur" / "baselines" / "test_program.json").exists()


def test_measuring_stays_inside_a_timeout(pytester):
    """Measuring, three times, ends before the test's own time-out."""
    pytest.importorskip("pytest_timeout")
    text = measuring("timeout(8)", "concurrency(min_speedup=1.0)")
    result = run_project(pytester, text, "--concur-measure-seconds=60", "--concur-seconds=60")

    assert "Timeout" not in result.output
    assert result.kinds == ("premature-concurrency",)


def test_what_the_plugin_imports_is_not_rewritten(pytester):
    """pytest rewrites the assertions of plugins; that doubles the time until a first marked test can start."""
    (pytester.path / "conftest.py").write_text(
        "import sys\n\nBEFORE = list(sys.meta_path)\n\n\ndef pytest_terminal_summary(config):\n"
        "    config.add_cleanup(lambda: print('as before:', sys.meta_path == BEFORE))\n",
        encoding="utf-8",
    )
    text = module(
        """
        @pytest.mark.concurrency(schedules=5)
        def test_program(concur):
            concur.run(lambda: None, lambda: None)


        def test_afterwards():
            ours = [each for name, each in sys.modules.items() if name.startswith("pytest_concur.")]
            rewritten = {each.__name__ for each in ours if "Rewriting" in type(each.__loader__).__name__}
            assert len(ours) > 50
            assert len(rewritten) <= 4, "more than what is imported before a marked test is met"
        """
    )
    (pytester.path / "test_program.py").write_text(text, encoding="utf-8")

    result = run_pytest(pytester, UNHURRIED, fresh=True)

    assert result.outcomes["passed"] == 2, result.output
    assert "as before: True" in result.output
