"""What goes wrong, on purpose: values that mean nothing, tokens that fit nothing, programs that misbehave.

A message names what was wrong and the way out; the session survives; the following tests run as ever; and whatever
could not be judged never counts as passed.
"""

from __future__ import annotations

import re

import pytest
from project import (
    ORIGINALS,
    PROGRAM_FILE,
    UNHURRIED,
    Finding,
    assert_fails,
    assert_passes,
    fails,
    module,
    passes,
    replay,
    run_programs,
    run_project,
    run_pytest,
)

REFUSED = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
"""A collection error, or an option that pytest does not accept."""

NODEID = f"{PROGRAM_FILE}::test_program"

RACY = module(
    """
    @pytest.mark.concurrency
    def test_program(concur):
        box = Box()

        def add():
            box.x += 1

        concur.run(add, add)
        assert box.x == 2
    """
)

CORRECT = module(
    """
    @pytest.mark.concurrency(schedules=100)
    def test_program(concur):
        box = Box()
        lock = threading.Lock()

        def add():
            with lock:
                box.x += 1

        concur.run(add, add)
        assert box.x == 2
    """
)

FOLLOWING_TESTS = module(
    """
    @pytest.mark.concurrency(schedules=50)
    def test_following(concur):
        box = Box()
        lock = threading.Lock()

        def add():
            with lock:
                box.x += 1

        concur.run(add, add)
        assert box.x == 2


    def test_unmarked():
        assert threading.active_count() == 1
    """
)


def marked(arguments: str) -> str:
    """Return a racy module whose marker has these arguments."""
    return RACY.replace("@pytest.mark.concurrency", f"@pytest.mark.concurrency({arguments})")


def failed_before(pytester: pytest.Pytester, text: str = RACY) -> Finding:
    """Run a program that fails and return its finding."""
    return assert_fails(run_project(pytester, text, UNHURRIED), {"assertion"})


# --- values ----------------------------------------------------------------------------------------------------------

WRONG_MARKERS = [
    ("schedule=5", ["schedule", "schedules"]),
    ("strateg='pct'", ["strateg", "strategy"]),
    ("timeot='explore'", ["timeot", "timeouts"]),
    ("max_step=7", ["max_step", "max_steps"]),
    ("schedules='many'", ["schedules", "many"]),
    ("schedules=2.5", ["schedules", "2.5"]),
    ("seconds='soon'", ["seconds", "soon"]),
    ("seed='apple'", ["seed", "apple"]),
    ("schedules=0", ["schedules", "0", "1"]),
    ("schedules=-3", ["schedules", "-3"]),
    ("threads=0", ["threads", "0"]),
    ("seconds=0", ["seconds", "0"]),
    ("seconds=-1.5", ["seconds", "-1.5"]),
    ("max_steps=0", ["max_steps", "0"]),
    ("stress=-1", ["stress", "-1"]),
    ("strategy='randm'", ["strategy", "randm", "did you mean", "random"]),
    ("strategy='zebra'", ["strategy", "zebra", "random", "pct", "auto"]),
    ("granularity='acess'", ["granularity", "acess", "access", "gil", "sync"]),
    ("outcome='serail'", ["outcome", "serail", "serial", "any"]),
    ("data_races='fatal'", ["data_races", "fatal", "error", "warn", "ignore"]),
    ("lock_order='eror'", ["lock_order", "eror", "error"]),
    ("timeouts='explre'", ["timeouts", "explre", "explore"]),
]


def test_wrong_marker_arguments_are_refused(pytester):
    """A wrong name, type or range stops the collection, naming the test, the value and what would be right."""
    ran = run_programs(pytester, {arguments: marked(arguments) for arguments, _ in WRONG_MARKERS})

    assert ran.result.exit in REFUSED, ran.result.output
    assert ran.result.outcomes == {"errors": len(WRONG_MARKERS)}, ran.result.output
    for arguments, fragments in WRONG_MARKERS:
        _, _, said = ran.result.output.partition(f" ERROR collecting {ran.files[arguments]} ")
        said = said.partition(" ERROR collecting ")[0]
        assert [fragment for fragment in ("test_program", *fragments) if fragment not in said] == [], said


def test_positional_marker_argument_is_refused(pytester):
    """The marker takes keywords only; a bare value is refused, naming the test."""
    result = run_project(pytester, marked("4"))

    assert result.exit in REFUSED, result.output
    assert "test_program" in result.output


def test_strategy_that_needs_what_a_granularity_lacks_is_refused(pytester):
    """DPOR sees nothing of accesses where a switch may only come where the GIL allows it: it would prove nothing."""
    result = run_project(pytester, marked("strategy='dpor', granularity='gil'"))

    assert result.exit in REFUSED, result.output
    assert "dpor" in result.output
    assert "bounded" in result.output
    assert "test_program" in result.output


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--concur", "sometimes"),
        ("--concur-strategy", "randm"),
        ("--concur-schedules", "many"),
        ("--concur-schedules", "0"),
        ("--concur-seconds", "-1"),
        ("--concur-granularity", "opcode"),
        ("--concur-seed", "apple"),
    ],
)
def test_wrong_command_line_value_is_refused(pytester, option, value):
    """A wrong value on the command line stops pytest with a message that names the option and the value."""
    result = run_project(pytester, RACY, f"{option}={value}")

    assert result.exit in REFUSED, result.output
    assert option in result.output
    assert value in result.output


@pytest.mark.parametrize(("name", "value"), [("schedules", "many"), ("strategy", "randm"), ("seconds", "0")])
def test_wrong_ini_value_is_refused(pytester, name, value):
    """A wrong value in the ini file stops pytest with a message that names the key and the value."""
    pytester.makeini(f"[pytest]\nconcur_{name} = {value}\n")

    result = run_project(pytester, RACY)

    assert result.exit in REFUSED, result.output
    assert f"concur_{name}" in result.output
    assert value in result.output


@pytest.mark.parametrize(("name", "value"), [("SCHEDULES", "many"), ("STRATEGY", "randm"), ("SECONDS", "0")])
def test_wrong_environment_value_is_refused(pytester, monkeypatch, name, value):
    """A wrong value in the environment stops pytest with a message that names the variable and the value."""
    monkeypatch.setenv(f"CONCUR_{name}", value)

    result = run_project(pytester, RACY)

    assert result.exit in REFUSED, result.output
    assert f"CONCUR_{name}" in result.output
    assert value in result.output


# Weakest first; with the layers up to some place set, the last of them wins.
LAYERS = ["default", "ini", "environment", "command line", "marker"]


@pytest.mark.parametrize("strongest", LAYERS)
def test_marker_beats_command_line_beats_environment_beats_ini_beats_default(pytester, monkeypatch, strongest):
    """Of all the places where an option is set, the one nearest to the test decides."""
    seeds = {"ini": 11, "environment": 22, "command line": 33, "marker": 44}
    strategies = {"ini": "pct", "environment": "random", "command line": "pct", "marker": "random"}
    layers = LAYERS[1 : LAYERS.index(strongest) + 1]
    args = [UNHURRIED]
    arguments = "schedules=20"
    if "ini" in layers:
        pytester.makeini(f"[pytest]\nconcur_seed = {seeds['ini']}\nconcur_strategy = {strategies['ini']}\n")
    if "environment" in layers:
        monkeypatch.setenv("CONCUR_SEED", str(seeds["environment"]))
        monkeypatch.setenv("CONCUR_STRATEGY", strategies["environment"])
    if "command line" in layers:
        args += [f"--concur-seed={seeds['command line']}", f"--concur-strategy={strategies['command line']}"]
    if "marker" in layers:
        arguments += f", seed={seeds['marker']}, strategy='{strategies['marker']}'"

    result = run_project(pytester, CORRECT.replace("schedules=100", arguments), *args)

    assert_passes(result)
    if strongest == "default":
        again = run_pytest(pytester, *args)
        assert result.only.explored["seed"] == again.only.explored["seed"], "derived from the node id"
        assert result.only.explored["seed"] not in seeds.values()
    else:
        assert result.only.explored["seed"] == seeds[strongest]
        assert result.only.explored["strategy"] == strategies[strongest]


def test_concur_off_runs_a_marked_test_once_as_it_stands(pytester):
    """With --concur=off the body of a marked test runs exactly once, on plain threads, and nothing is explored."""
    text = RACY.replace("    box = Box()", '    print("the body runs")\n    box = Box()')

    result = run_project(pytester, text, "--concur=off", "-s")

    assert result.outcomes == {"passed": 1}, result.output
    assert result.output.count("the body runs") == 1
    assert all(test.explored["schedules"] == 0 for test in result.tests if test.explored)


def test_concur_only_deselects_unmarked_tests(pytester):
    """With --concur=only the unmarked tests are deselected and the marked ones run as ever."""
    result = run_project(pytester, CORRECT + "\n\ndef test_unmarked():\n    assert False\n", "--concur=only")

    assert_passes(result)
    assert result.outcomes == {"passed": 1, "deselected": 1}, result.output


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_token_replays_the_failure(pytester):
    """The printed command repeats the failure, kind and all, as often as one likes."""
    first = run_project(pytester, RACY, UNHURRIED)
    finding = assert_fails(first, {"assertion"})
    assert f"--concur-replay={finding.token}" in first.output

    for _ in range(2):
        again = replay(pytester, NODEID, finding.token)

        assert again.exit == pytest.ExitCode.TESTS_FAILED, again.output
        assert "assertion" in again.output
        assert "assertion" in again.kinds


def assert_no_pass(result):
    """Check that a token that does not fit made the run fail, without an internal error."""
    assert result.exit not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR), result.output
    assert "passed" not in result.outcomes, result.output
    assert all(test.verdict != "passed" for test in result.tests)


def test_truncated_token_never_passes(pytester):
    """A token that lost its end, or half of itself, or all but its prefix is refused or reported as diverged."""
    token = failed_before(pytester).token

    for shortened in (token[:2], token[: len(token) // 2], token[:-1]):
        result = replay(pytester, NODEID, shortened)

        assert_no_pass(result)
        assert "token" in result.output or "diverged" in result.output


@pytest.mark.parametrize(
    "token",
    ["", "garbage", "c1", "c1:::", "c1%zz\u00e9", "c2abcdef", "c1" + "A" * 5000],
    ids=["empty", "a word", "only a prefix", "punctuation", "not ASCII", "another version", "very long"],
)
def test_garbage_token_never_passes(pytester, token):
    """What is no token at all is refused with a message about the token."""
    result = run_project(pytester, CORRECT, NODEID, f"--concur-replay={token}")

    assert_no_pass(result)
    assert "token" in result.output or "--concur-replay" in result.output


def test_token_of_another_test_is_reported_as_diverged(pytester):
    """A token replayed on a test that it does not belong to is a divergence, not a verdict on that test."""
    token = failed_before(pytester).token

    result = run_project(pytester, CORRECT, NODEID, f"--concur-replay={token}")

    assert_no_pass(result)
    assert "diverged" in result.output.lower()


CHANGES = {
    "fixed with a lock": "        with lock:\n            box.x += 1",
    "more accesses": "        box.y = box.x\n        box.x = box.y + 1",
    "no accesses": "        pass",
}


def test_token_of_changed_code_is_reported_as_diverged(pytester):
    """A token from before a change is reported as diverged with the first step that differs, never as a pass."""
    text = RACY.replace("    box = Box()", "    box = Box()\n    lock = threading.Lock()")
    token = failed_before(pytester, text).token

    for change in CHANGES.values():
        changed = text.replace("        box.x += 1", change)
        result = run_project(pytester, changed, NODEID, f"--concur-replay={token}")

        assert_no_pass(result)
        assert "diverged" in result.output.lower()


def test_remembered_failure_is_tried_first(pytester):
    """The second session tries the schedule that failed in the first one before any other."""
    text = module(
        """
        @pytest.mark.concurrency
        def test_program(concur):
            box = Box()

            def write():
                for number in range(1, 6):
                    box.x = number
                box.x = 0

            def read():
                for _ in range(3):
                    if box.x == 5:
                        raise ValueError("half written")

            concur.run(write, read)
        """
    )
    first = assert_fails(run_project(pytester, text, UNHURRIED), {"exception"})

    second = assert_fails(run_pytest(pytester, UNHURRIED), {"exception"})

    assert first.schedule >= 1
    assert second.schedule == 1


# --- programs that misbehave -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["-o", "cache_dir=blocker/cache"], ["-p", "no:cacheprovider"]], ids=["file", "none"])
def test_cache_that_cannot_be_written_changes_no_verdict(pytester, args):
    """Without a usable cache directory failures are found, replayed and not remembered; correct tests pass."""
    (pytester.path / "blocker").write_text("a file where a directory should be", encoding="utf-8")

    ran = run_programs(pytester, {"racy": RACY, "correct": CORRECT}, UNHURRIED, *args)
    assert ran.misjudged(lambda name, test: fails(test, {"assertion"}) if name == "racy" else passes(test)) == {}

    [racy] = ran.of("racy")
    again = replay(pytester, racy.nodeid, racy.findings[0].token, *args)
    assert again.exit == pytest.ExitCode.TESTS_FAILED, again.output


ENDLESS = """
    @pytest.mark.concurrency(schedules=5)
    def test_program(concur):
        box = Box()

        def work():
            while True:
                {body}

        concur.run(work, work)
"""


def test_endless_task_is_never_a_pass(pytester):
    """A task that goes on for ever is cut off at the step limit and reported; the following tests pass."""
    text = module(ENDLESS.format(body="box.x += 1")) + FOLLOWING_TESTS

    result = run_project(pytester, text, "--concur-max-steps=5000")

    test = result.test("test_program")
    assert (test.verdict, set(test.kinds) - {"data-race"}) in [("inconclusive", set()), ("failed", {"livelock"})]
    assert re.search(r"max_steps without a verdict \(.* at test_program\.py:\d+.*\)|livelock", result.output)
    assert result.test("test_following").verdict == "passed", result.output
    assert result.outcomes["passed"] >= 2, result.output


@pytest.mark.slow
def test_endless_task_without_a_shared_access_is_never_a_pass(pytester):
    """A task that spins for ever without touching anything is cut off too; the following tests pass."""
    text = module(ENDLESS.format(body="pass")) + FOLLOWING_TESTS

    result = run_project(pytester, text)

    test = result.test("test_program")
    assert test.verdict in ("inconclusive", "failed"), result.output
    assert set(test.kinds) <= {"livelock", "uncontrolled", "thread-leak"}
    assert result.test("test_following").verdict == "passed", result.output


def test_thread_that_blocks_for_ever_is_a_leak(pytester):
    """A thread that is still blocked when the body has returned is a thread leak; the following tests pass."""
    text = FOLLOWING_TESTS + module(
        """
        @pytest.mark.concurrency
        def test_program():
            never = threading.Event()
            threading.Thread(target=never.wait).start()


        def test_last():
            assert threading.active_count() == 1
        """
    )

    result = run_project(pytester, text)

    test = result.test("test_program")
    assert (test.verdict, test.kinds) == ("failed", ("thread-leak",)), result.output
    assert test.findings[0].sequential
    assert result.outcomes == {"failed": 1, "passed": 3}, result.output


def test_lock_that_is_never_released_is_a_leak(pytester):
    """A lock that a task still holds when the body has returned is reported as a leak of its own kind."""
    text = module(
        """
        @pytest.mark.concurrency
        def test_program(concur):
            lock = threading.Lock()

            def take():
                lock.acquire()

            concur.run(take)


        def test_unmarked():
            pass
        """
    )

    result = run_project(pytester, text)

    test = result.test("test_program")
    assert (test.verdict, test.kinds) == ("failed", ("thread-leak",)), result.output
    assert result.outcomes == {"failed": 1, "passed": 1}, result.output


def test_os_exit_in_a_task_does_not_end_the_session(pytester):
    """os._exit inside a controlled run is refused with a message that names it; the following tests pass."""
    text = FOLLOWING_TESTS + module(
        """
        @pytest.mark.concurrency
        def test_program(concur):
            concur.run(lambda: os._exit(0))


        def test_last():
            pass
        """
    )

    result = run_project(pytester, text)

    assert result.test("test_program").verdict == "failed", result.output
    assert "os._exit" in result.output
    assert result.outcomes == {"failed": 1, "passed": 3}, result.output


INTERRUPTED = module(
    """
    RUNS = 0


    @pytest.mark.concurrency(seconds=30)
    def test_program(concur):
        global RUNS
        RUNS += 1
        box = Box()
        lock = threading.Lock()

        def add():
            for _ in range(3):
                with lock:
                    box.x += 1

        <BODY>


    def test_unmarked():
        pass
    """
)

AT_THE_END = """\
import pathlib

import originals


def pytest_unconfigure():
    pathlib.Path("left.txt").write_text(", ".join(originals.left_patched()) or "nothing")
"""


@pytest.mark.parametrize(
    "body",
    [
        "concur.run(add, add, add)\n    if RUNS == 50:\n        raise KeyboardInterrupt",
        "concur.start(add)\n    concur.start(add)\n    if RUNS == 50:\n        raise KeyboardInterrupt",
    ],
    ids=["after its tasks", "while its tasks run"],
)
def test_keyboard_interrupt_ends_the_session_cleanly(pytester, body):
    """An interrupt in the middle of the exploration ends pytest with its own exit code and leaves nothing patched."""
    (pytester.path / "originals.py").write_text(ORIGINALS, encoding="utf-8")
    (pytester.path / "conftest.py").write_text(AT_THE_END, encoding="utf-8")

    result = run_project(pytester, INTERRUPTED.replace("<BODY>", body))

    assert result.exit == pytest.ExitCode.INTERRUPTED, result.output
    assert "KeyboardInterrupt" in result.output
    assert "passed" not in result.outcomes, result.output
    assert (pytester.path / "left.txt").read_text(encoding="utf-8") == "nothing"


def test_a_token_that_does_not_fit_is_no_expected_failure(pytester):
    """Nor is the failure that a replay is asked for."""
    text = RACY.replace("@pytest.mark.concurrency", "@pytest.mark.xfail\n@pytest.mark.concurrency", 1)
    token = run_project(pytester, text, UNHURRIED).findings[0].token

    assert replay(pytester, NODEID, token).exit == pytest.ExitCode.TESTS_FAILED
    assert_no_pass(replay(pytester, NODEID, token[:-1]))


@pytest.mark.parametrize("args", [["--concur=off"], ["-k", "test_plain"], ["--deselect", NODEID]])
def test_a_token_that_comes_to_no_test_is_refused(pytester, args):
    text = RACY + "\n\ndef test_plain():\n    pass\n"
    token = failed_before(pytester).token

    result = run_project(pytester, text, f"--concur-replay={token}", *args)

    assert result.exit == pytest.ExitCode.USAGE_ERROR, result.output
    assert "nothing would be replayed" in result.output or "nothing was replayed" in result.output


def test_a_report_is_a_file_that_others_may_read(pytester):
    """As the user's mask says; a folder is refused before anything runs."""
    run_project(pytester, CORRECT)
    (pytester.path / "folder").mkdir()
    plain = pytester.path / "plain"
    plain.touch()

    assert (pytester.path / "report.json").stat().st_mode == plain.stat().st_mode
    refused = run_project(pytester, CORRECT, "--concur-json=folder")
    assert refused.exit == pytest.ExitCode.USAGE_ERROR
    assert "--concur-json=folder: that is a folder" in refused.output
    assert not list(pytester.path.rglob("*.partial"))
    nowhere = run_project(pytester, CORRECT, "--concur-json=plain/report.json")
    assert nowhere.exit == pytest.ExitCode.USAGE_ERROR
    assert "--concur-json=plain/report.json: the report cannot be written there" in nowhere.output
    assert nowhere.outcomes == {"passed": 1}


def test_a_list_in_the_ini_file_is_read(pytester):
    """TOML has lists; what it calls a number is refused by pytest, if at all, with the remedy."""
    (pytester.path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nconcur_scope = ["json", "email"]\nconcur_schedules = "3"\n', encoding="utf-8"
    )

    result = run_project(pytester, CORRECT)

    assert result.only.verdict == "passed", result.output
    assert result.only.explored["schedules"] <= 3


@pytest.mark.parametrize(
    ("marker", "note"),
    [
        ("", "nothing ran beside the test's body"),
        ("scope=['no.such_module']", "there is no module 'no.such_module'"),
        ("min_speedup=2", "min_speedup: nothing was compared"),
    ],
)
def test_what_is_most_likely_a_mistake_is_told(pytester, marker, note):
    text = f"""
        @pytest.mark.concurrency({marker})
        def test_program(concur):
            assert Box().x == 0
    """

    assert note in run_project(pytester, module(text)).output


@pytest.mark.parametrize("loop", ["while True: pass", "while True:\n            pass", "while 1: ..."])
def test_a_loop_without_a_body_is_seen(pytester, loop):
    text = f"""
        @pytest.mark.concurrency(max_steps=2000)
        def test_program(concur):
            def spin():
                {loop.replace("            ", "                    ")}

            concur.run(spin, lambda: None)
    """

    found = assert_fails(run_project(pytester, module(text)), {"livelock"})

    assert "spin" in found.summary


@pytest.mark.parametrize(
    ("options", "text"),
    [("5", "which holds none"), ("{'a', 'b'}", "whose order differs from run to run"), ("[]", "got no options")],
)
def test_options_without_an_order_are_refused(pytester, options, text):
    program = f"""
        @pytest.mark.concurrency
        def test_program(concur):
            concur.choose({options})
    """
    result = run_project(pytester, module(program))

    assert result.exit == pytest.ExitCode.TESTS_FAILED
    assert "concur.choose" in result.output
    assert text in result.output


def test_options_may_be_whatever_has_an_order(pytester):
    text = """
        class Letters:
            def __getitem__(self, place):
                return "ab"[place]


        @pytest.mark.concurrency
        def test_program(concur):
            assert concur.choose({"a": 1, "b": 2}.keys()) in "ab"
            assert concur.choose(Letters()) in "ab"
            assert concur.choose(range(2)) in (0, 1)
    """

    assert_passes(run_project(pytester, module(text)))


def test_what_fails_by_the_answers_alone_keeps_its_kind_when_replayed(pytester):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            assert concur.choose([1, 2]) != 2
    """
    (found,) = run_project(pytester, module(text)).findings
    (again,) = replay(pytester, "test_program.py::test_program", found.token).findings

    assert (found.kind, again.kind) == ("sequential-failure", "sequential-failure")
    assert again.summary == found.summary


def test_an_outcome_is_shown_as_users_write_it(pytester):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            items, kinds = [], {"a": {1}}

            def work():
                items.append(len(items))

            concur.run(work, work)
            concur.observe(items=items, kinds=kinds, pair=(1,))
    """
    result = run_project(pytester, module(text))

    assert "outcome (None, None; items=[0, 0]; kinds={'a': {1}}; pair=(1,)) comes from no" in result.output


def test_a_forgotten_marker_is_mentioned(pytester):
    text = """
        def test_program(concur):
            box = Box()
            concur.run(lambda: box.__init__(), lambda: box.x)


        @pytest.mark.concurrency
        def test_marked(concur):
            concur.run(int)
    """
    told = "1 test uses concur without @pytest.mark.concurrency: tasks ran once, in real threads"

    assert told in run_project(pytester, module(text)).output
    assert told not in run_project(pytester, module(text), "--concur=off").output
