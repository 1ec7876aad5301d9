"""Tests that measure: verdicts, baselines, and what they do beside the rest of the plugin.

Workloads sleep, so that a busy machine, and the other tests beside these, change little; what is asked for is far from
what is there.
"""

from __future__ import annotations

import json
import re

import pytest
from project import module, run_programs, run_project, run_pytest

from pytest_concur.measure import baselines, machine
from pytest_concur.measure.workload import Comparing

pytest_plugins = ["pytester"]

QUICK = ("--concur-schedules=3", "--concur-measure-seconds=0.6")
BASELINE = ".concur/baselines/test_program.json"

SLEEPERS = """
    EXTRA = float(os.environ.get("EXTRA", "0"))
    ITEMS = list(range(8))


    def fetch(item):
        time.sleep(0.010)
        return item * item


    def slowed(item):
        time.sleep(0.010 * (1 + EXTRA))
        return item * item


    def one_by_one():
        return [fetch(item) for item in ITEMS]


    def at_once():
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(slowed, ITEMS))
"""

PAYS = (
    SLEEPERS
    + """

    @pytest.mark.concurrency({arguments})
    def test_fetch(concur):
        result = concur.compare(sequential=one_by_one, concurrent=at_once, operations=len(ITEMS))
        assert result.speedup.estimate > 1.1
"""
)


FETCH = PAYS.replace("\n        assert result.speedup.estimate > 1.1", "")
"""The same without an opinion on the figures: a busy machine may change them."""


def run(pytester, text, *args, **arguments):
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return run_project(pytester, module(text.replace("{arguments}", shown)), *QUICK, *args)


def again(pytester, *args):
    return run_pytest(pytester, *QUICK, *args)


def measurement(result):
    (found,) = result.only.measurements
    return found


# ---- within a run ----


def test_it_pays(pytester):
    """Sleeping in four threads is measured as faster, with an interval, and the body can use the result."""
    result = run(pytester, PAYS, min_speedup=1.3)
    found = measurement(result)

    assert result.verdict == "passed", result.output
    assert found["verdict"] == "pays"
    assert found["name"] == "fetch"
    assert 1.3 < found["speedup"]["low"] < found["speedup"]["estimate"] < found["speedup"]["high"] < 9
    assert found["sequential"]["throughput"] == pytest.approx(8 / 0.081, rel=0.6)
    assert found["baseline"]["status"] == "none"
    assert "fetch: pays:" in result.output
    assert "no baseline for" in result.output
    assert "--concur-update-baselines" in result.output
    assert not (pytester.path / ".concur").exists(), "baselines are changed on request only"


SLOWER = """
    def nothing():
        return 1


    def in_a_thread():
        thread = threading.Thread(target=time.sleep, args=(0.002,))
        thread.start()
        thread.join()
        return 1


    @pytest.mark.concurrency({arguments})
    def test_sum(concur):
        result = concur.compare(sequential=lambda: time.sleep(0.0005) or 1, concurrent=in_a_thread)
        assert result.verdict == "premature"
"""


def test_premature_concurrency_is_a_warning(pytester):
    """Who only asks gets an answer: the test passes, and says it."""
    result = run(pytester, SLOWER)

    assert result.verdict == "passed", result.output
    assert result.kinds == ("premature-concurrency",)
    assert "PREMATURE CONCURRENCY" in result.output
    assert "slower than sequential" in result.output


def test_min_speedup_fails(pytester):
    """Who sets a least speedup gets a failure, after three measurements, one of them at the end of the session."""
    result = run(pytester, SLOWER, min_speedup=1.0)

    assert result.verdict == "failed"
    assert result.kinds == ("premature-concurrency",)
    assert result.outcomes == {"failed": 1}, result.output
    assert "min_speedup=1" in result.output
    assert re.search(r"3 of 3 measurements: 0\.\d+x, 0\.\d+x, 0\.\d+x$", result.output, re.MULTILINE), result.output
    assert result.only.explored["schedules"] > 0, "what was explored is still reported"


def test_results_are_compared_first(pytester):
    """Other results are a failure, with both shown; nothing is measured."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            concur.compare(sequential=lambda: [1, 2], concurrent=lambda: [2, 1])
    """
    result = run(pytester, text)

    assert result.verdict == "failed"
    assert "the results differ" in result.output
    assert "sequential: [1, 2]" in result.output
    assert "concurrent: [2, 1]" in result.output
    assert result.only.measurements == ()


def test_the_compared_code_is_explored(pytester):
    """A race in the concurrent function is found before anything is measured."""
    text = """
        def count(threads):
            box = Box()

            def add():
                x = box.x
                box.x = x + 1

            started = [threading.Thread(target=add) for _ in range(threads)]
            for thread in started:
                thread.start()
            for thread in started:
                thread.join()
            return box.x


        @pytest.mark.concurrency(schedules=200)
        def test_program(concur):
            concur.compare(sequential=lambda: 2, concurrent=lambda: count(2))
    """
    result = run_project(pytester, module(text))

    assert result.verdict == "failed"
    assert "assertion" in result.kinds
    assert "the results differ" in result.output
    assert result.only.measurements == ()


def test_what_comes_behind_is_explored_with_the_results(pytester):
    """A race behind a comparison is found too; the measured result is known there."""
    text = (
        SLEEPERS
        + """

        @pytest.mark.concurrency(schedules=200)
        def test_program(concur):
            result = concur.compare(sequential=one_by_one, concurrent=at_once)
            assert result.speedup.estimate > 1.2
            box = Box()

            def add():
                x = box.x
                box.x = x + 1

            concur.run(add, add)
            assert box.x == 2
    """.replace("\n    ", "\n")
    )
    result = run_project(pytester, module(text), "--concur-measure-seconds=0.5")

    assert result.verdict == "failed"
    assert "assertion" in result.kinds
    assert result.findings[0].token


def test_workers_give_a_curve(pytester):
    """With numbers of workers the function gets one of them, and the curve is reported."""
    text = (
        SLEEPERS
        + """

    def with_workers(count):
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(fetch, ITEMS))


    @pytest.mark.concurrency
    def test_program(concur):
        result = concur.compare(sequential=one_by_one, concurrent=with_workers, workers=[1, 2, 4])
        assert [level.workers for level in result.curve] == [1, 2, 4]
        assert result.curve[2].speedup > result.curve[0].speedup
        assert result.scalability is None
    """
    )
    result = run(pytester, text)

    assert result.verdict == "passed", result.output
    assert [level["workers"] for level in measurement(result)["curve"]] == [1, 2, 4]


def test_waiting_for_a_lock_is_the_explanation(pytester):
    """The lock that the threads wait for is named, with its place and its share.

    Of four threads that hold it for 20 ms each, one after the other, the last waits 60 ms: 120 ms of the 280 ms that
    they and the main thread take together are waiting. Less if a busy machine starts them one by one. They take four
    times as long as one thread: more than any neighbours can be blamed for.
    """
    text = """
        class Store:
            def __init__(self):
                self._lock = threading.Lock()

            def use(self, seconds):
                with self._lock:
                    time.sleep(seconds)


        def sequential():
            store = Store()
            for _ in range(4):
                store.use(0.005)
            return 4


        def concurrent():
            store = Store()
            threads = [threading.Thread(target=store.use, args=(0.020,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return 4


        @pytest.mark.concurrency
        def test_program(concur):
            result = concur.compare(sequential=sequential, concurrent=concurrent, operations=4)
            assert result.verdict == "premature"
            assert result.lock_wait > 0.2
            assert result.contention[0].share > 0.2
    """
    result = run(pytester, text)

    assert result.verdict == "passed", result.output
    assert re.search(r"of thread time is waiting for Store\._lock \(test_program\.py:\d+\)", result.output)


def test_outside_a_marked_test(pytester):
    """The fixture measures anywhere; nobody judges."""
    text = (
        SLEEPERS
        + """

    def test_program(concur):
        result = concur.compare(sequential=one_by_one, concurrent=at_once)
        assert result.verdict == "pays"
        assert concur.load(lambda: time.sleep(0.001), users=2, seconds=0.2).count > 50
    """
    )
    result = run(pytester, text)

    assert result.outcomes == {"passed": 1}, result.output


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("compare(sequential=1, concurrent=len)", "concur.compare(sequential=…) takes a function, got 1"),
        ("compare(sequential=int, concurrent=int, operations=0)", "got operations=0"),
        ("compare(sequential=int, concurrent=int, workers=[2, 0])", "got workers=(2, 0)"),
        ("compare(sequential=int, concurrent=int, name='')", "got name=''"),
        ("load(len)", "either users="),
        ("load(int, users=1, rate=2)", "either users="),
        ("load(int, users=0)", "got users=0"),
        ("load(int, rate=-1)", "got rate=-1"),
        ("load(int, users=1, seconds=0)", "got seconds=0"),
    ],
)
def test_wrong_arguments(pytester, call, said):
    """The message names call, argument and value."""
    pytester.makepyfile(f"def test_program(concur):\n    concur.{call}\n")
    result = pytester.runpytest("-p", "no:cacheprovider")

    result.assert_outcomes(failed=1)
    assert said in result.stdout.str()


def test_measuring_in_a_task_is_refused(pytester):
    """With ``threads=2`` there are two bodies: neither is alone."""
    text = """
        @pytest.mark.concurrency(threads=2)
        def test_program(concur):
            concur.compare(sequential=int, concurrent=int)
    """
    result = run(pytester, text)

    assert result.verdict == "failed"
    assert "the test's body must call it, alone" in result.output


def test_an_assertion_on_figures_is_a_finding(pytester):
    """The body's own assertion on what was measured fails the test, in pytest's words, and in the report."""
    text = (
        SLEEPERS
        + """

    @pytest.mark.concurrency
    def test_program(concur):
        assert concur.compare(sequential=one_by_one, concurrent=at_once).speedup.estimate > 100
    """
    )
    result = run(pytester, text)

    assert result.verdict == "failed"
    assert result.kinds == ("assertion",)
    assert "> 100" in result.output


def test_pytest_fail_while_measuring_is_a_finding(pytester):
    """``pytest.fail`` is no ``Exception``; the report has it all the same."""
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            concur.load(lambda: None, users=1, seconds=0.05)
            pytest.fail("too slow")
    """
    result = run(pytester, text)

    assert result.verdict == "failed"
    assert result.kinds == ("assertion",)


# ---- load ----


def test_load_is_reported(pytester):
    """Percentiles with their limits, and a handler that is explored as well."""
    text = """
        @pytest.mark.concurrency
        def test_handler(concur):
            closed = concur.load(lambda: time.sleep(0.001), users=2, seconds=0.3)
            assert 0.0009 < closed.p50 < 0.01
            assert closed.p999 is None
            opened = concur.load(lambda: time.sleep(0.001), rate=200, seconds=0.5, name="open")
            assert opened.count == 100
            assert opened.p99 is None
    """
    result = run(pytester, text)
    closed, opened = result.only.measurements

    assert result.verdict == "passed", result.output
    assert closed["name"] == "handler"
    assert opened["name"] == "open"
    assert closed["load"]["latency_seconds"]["p50"]["low"] > 0.0009
    assert opened["load"]["latency_seconds"]["p99"] is None
    assert "p99 n/a (needs >= 368 calls)" in result.output
    assert "service time p50" in result.output
    assert "late starts" in result.output


def test_the_handler_under_load_is_explored(pytester):
    """A race between two calls of the handler is found without any load."""
    text = """
        @pytest.mark.concurrency(schedules=200)
        def test_handler(concur):
            box = Box()

            def handle():
                x = box.x
                box.x = x + 1
                assert box.x == x + 1

            concur.load(handle, users=2)
    """
    result = run_project(pytester, module(text))

    assert result.verdict == "failed"
    assert result.only.measurements == ()


# ---- baselines ----


STEADY = """\
from pytest_concur.measure import machine, rounds

passed = [0.0]


def spend(seconds):
    passed[0] += seconds


def calibrate():
    return 0.001


def probe(threads):
    return float(threads)


rounds.perf_counter = lambda: passed[0]
rounds.process_time = lambda: 0.0
machine.calibrate = calibrate
machine.probe_parallelism = probe
"""
"""Text of a project module that takes the place of the machine: time passes only where a workload spends it."""

SPENT = """
    import steady

    EXTRA = float(os.environ.get("EXTRA", "0"))


    def one_by_one():
        for _ in range(8):
            steady.spend(0.010)


    def at_once():
        steady.spend(0.010 * (1 + EXTRA))


    @pytest.mark.concurrency
    def test_fetch(concur):
        concur.compare(sequential=one_by_one, concurrent=at_once, name="fetch", operations=8)
"""


def test_baselines_from_writing_to_regression(pytester, monkeypatch):
    """Written on request, by fresh processes; the same code is within, slowed code fails."""
    (pytester.path / "steady.py").write_text(STEADY, encoding="utf-8")
    assert_written_within_and_regressed(pytester, monkeypatch, SPENT)


@pytest.mark.exhaustive
def test_baselines_on_this_machine(pytester, monkeypatch):
    """The same with real threads and the real clock; refused where other work comes and goes beside it."""
    assert_written_within_and_regressed(pytester, monkeypatch, FETCH)


def assert_written_within_and_regressed(pytester, monkeypatch, text):
    wrote = run(pytester, text, "--concur-update-baselines", "--concur-baseline-sessions=3")
    assert wrote.outcomes == {"passed": 1}, wrote.output
    assert "3 sessions of" in wrote.output, wrote.output
    stored = json.loads((pytester.path / BASELINE).read_text())
    ((key, environment),) = stored["tests"]["test_fetch"]["fetch"]["environments"].items()
    assert len(environment["sessions"]) == 3
    assert key.count("/") == 3

    same = again(pytester)
    assert measurement(same)["baseline"]["status"] in ("within", "improved"), same.output
    assert same.verdict == "passed"

    monkeypatch.setenv("EXTRA", "3")
    slower = again(pytester)
    assert slower.verdict == "failed", slower.output
    assert "throughput-regression" in slower.kinds
    assert measurement(slower)["baseline"]["status"] == "regressed"
    assert "the whole distribution shifted" in slower.output
    assert "3 of 3 measurements" in slower.output


def test_incomparable(pytester):
    """Sessions of another number of cores are not compared with: it says so and passes."""
    here = machine.environment().key
    elsewhere = f"{here.rpartition('/')[0]}/c32"
    spec = Comparing(len, len, 8, (), None).spec
    baselines.Baselines(pytester.path / ".concur" / "baselines").write(
        "test_program.py::test_fetch", "fetch", spec, elsewhere, [{"speedup": [1, 2, 3]}], "append"
    )

    found = run(pytester, FETCH)
    assert measurement(found)["baseline"]["status"] == "incomparable"
    assert "another number of cores" in found.output
    assert found.verdict == "passed"


def test_unusable_baselines_and_tests_that_want_none(pytester):
    """One that cannot be read is an error that says how to go on; ``baseline=False`` compares nothing and is silent."""
    fetch = module(FETCH.replace("{arguments}", ""))
    silent = module(FETCH.replace("{arguments}", "baseline=False"))
    folder = pytester.path / ".concur" / "baselines"
    folder.mkdir(parents=True)
    (folder / "test_program_0.json").write_text('{"schema": 9, "tests": {}}')
    (folder / "test_program_1.json").write_text('"schema": 1, "tests": {}}')

    ran = run_programs(pytester, {"newer": fetch, "damaged": fetch, "silent": silent}, *QUICK)

    assert ran.result.outcomes == {"failed": 2, "passed": 1}, ran.result.output
    assert "has schema 9" in ran.result.output
    assert "damaged" in ran.result.output
    assert "--concur-update-baselines" in ran.result.output
    assert "no baseline" not in ran.result.output
    assert ran.of("silent")[0].verdict == "passed"


@pytest.mark.exhaustive
def test_many_regressions_at_once_are_the_machine(pytester, monkeypatch):
    """Four tests of four slower at once: none fails, all are inconclusive, and it is said why."""
    text = (
        SLEEPERS
        + """

    @pytest.mark.concurrency
    @pytest.mark.parametrize("number", range(4))
    def test_fetch(concur, number):
        concur.compare(sequential=one_by_one, concurrent=at_once, operations=len(ITEMS))
    """
    )
    run(pytester, text, "--concur-update-baselines", "--concur-baseline-sessions=1")
    monkeypatch.setenv("EXTRA", "3")
    result = again(pytester)

    assert result.outcomes["passed"] == 4, result.output
    assert [test.verdict for test in result.tests] == ["inconclusive"] * 4
    assert "the machine changed, not your code" in result.output


def test_wrong_update(pytester):
    """What is not append or replace is refused before anything runs."""
    result = run(pytester, FETCH, "--concur-update-baselines=all")

    assert result.exit == pytest.ExitCode.USAGE_ERROR
    assert "allowed: append, replace" in result.output


def test_off_measures_once_and_judges_nothing(pytester):
    """``--concur=off`` runs the test as a plain one."""
    result = run(pytester, SLOWER, "--concur=off", min_speedup=5.0)

    assert result.outcomes == {"passed": 1}
    assert result.tests == ()
