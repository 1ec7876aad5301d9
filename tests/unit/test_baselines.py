"""Stored sessions: found where they are comparable, merged, never torn, and errors say how to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from pytest_concur.errors import BaselineError
from pytest_concur.measure import baselines, machine
from pytest_concur.measure.baselines import Baselines

HERE = machine.Environment("linux-x86_64", "cp313", "gil", "c2")
TEST = "tests/test_pool.py::TestPool::test_fetch[8]"


def session(number):
    return {"n": 30, "speedup": [1.9, 2.0 + number / 100, 2.1]}


def write(folder, numbers, *, test=TEST, spec="s", key=HERE.key, update="append"):
    Baselines(folder).write(test, "fetch", spec, key, [session(number) for number in numbers], update)


def found(folder, *, spec="s", environment=HERE):
    return Baselines(folder).find(TEST, "fetch", spec, environment)


def numbers(match):
    return [round(100 * (each["speedup"][1] - 2)) for each in match.sessions]


def test_what_was_written_is_found(tmp_path):
    """One file for each test module, below the folder."""
    write(tmp_path, range(5))

    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")] == ["tests/test_pool.json"]
    assert numbers(found(tmp_path)) == [0, 1, 2, 3, 4]
    assert not found(tmp_path).reason


def test_append_keeps_the_last_ten_and_the_anchor(tmp_path):
    """The anchor is the middle one of the sessions that began the baseline; replacing sets a new one."""
    for start in (0, 5, 10):
        write(tmp_path, range(start, start + 5))
    assert numbers(found(tmp_path)) == list(range(5, 15))
    assert found(tmp_path).anchor == session(2)

    write(tmp_path, range(20, 25), update="replace")
    assert numbers(found(tmp_path)) == list(range(20, 25))
    assert found(tmp_path).anchor == session(22)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cores": "c4"}, "another number of cores"),
        ({"gil": "free-threaded"}, "another GIL"),
        ({"python": "cp312"}, "another Python"),
        ({"system": "darwin-arm64"}, "another system"),
    ],
)
def test_other_environments_are_incomparable(tmp_path, change, reason):
    """What is not the same is named."""
    write(tmp_path, range(5))
    match = found(tmp_path, environment=replace(HERE, **change))

    assert match.is_incomparable
    assert not match.sessions
    assert reason in match.reason
    assert HERE.key in match.reason


def test_another_workload_is_incomparable(tmp_path):
    """Sessions of another workload say nothing, and go when new ones are written."""
    write(tmp_path, range(5))
    match = found(tmp_path, spec="other")
    assert match.is_incomparable
    assert "workload changed" in match.reason

    write(tmp_path, range(7, 9), spec="other")
    assert numbers(found(tmp_path, spec="other")) == [7, 8]


def test_nothing_stored(tmp_path):
    """No file, no test in it, no measurement: the reason names the environment."""
    assert "no baseline for linux-x86_64/cp313/gil/c2" in found(tmp_path).reason
    write(tmp_path, range(5), test="tests/test_pool.py::test_other")
    assert "no baseline" in found(tmp_path).reason
    assert not found(tmp_path).is_incomparable


def test_the_text_is_stable(tmp_path):
    """Reading and writing again changes nothing, one session is one line, keys are in order."""
    write(tmp_path, range(5))
    write(tmp_path, range(2), test="tests/test_pool.py::test_a")
    path = tmp_path / "tests" / "test_pool.json"
    text = path.read_text()

    assert baselines.render(json.loads(text)) == text
    assert sum('"speedup"' in line for line in text.splitlines()) == 5 + 2 + 2
    assert text.index("TestPool") < text.index("test_a")
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"tests": {}}',
        '{"schema": 1, "tests": {"t": {"f": {"spec": "s"}}}}',
        '{"schema": 1, "tests": {"t": {"f": {"spec": "s", "environments": {"e": {"anchor": 1, "sessions": []}}}}}}',
    ],
)
def test_damaged_file(tmp_path, text):
    """The error names the file and the way out; nothing is written over it."""
    path = tmp_path / "tests" / "test_pool.json"
    path.parent.mkdir()
    path.write_text(text)

    for use in (found, lambda folder: write(folder, range(2))):
        with pytest.raises(
            BaselineError, match=r"(?s)test_pool\.json: the baseline is damaged.*--concur-update-baselines"
        ):
            use(tmp_path)
    assert path.read_text() == text


def test_newer_version(tmp_path):
    """A file that a later version wrote is not understood, and not touched."""
    path = tmp_path / "tests" / "test_pool.json"
    path.parent.mkdir()
    path.write_text('{"schema": 2, "tests": {}}')

    with pytest.raises(BaselineError, match="schema 2, this version of pytest-concur knows 1"):
        found(tmp_path)


def test_unwritable(tmp_path):
    """A folder that cannot be made is an error of ours, with the path."""
    (tmp_path / "tests").write_text("a file")

    with pytest.raises(BaselineError, match="cannot be written"):
        write(tmp_path, range(2))


WRITER = """
import sys
from pathlib import Path
from pytest_concur.measure.baselines import Baselines

folder, number = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(int(sys.argv[3])):
    session = {"n": 30, "speedup": [1.9, turn, 2.1], "ballast": "x" * 2000}
    Baselines(folder).write(f"tests/test_pool.py::test_{number}", "fetch", "s", "env", [session], "append")
    with (folder / f"done_{number}").open("a") as done:  # a line more: killed in between, the one before still stands
        done.write(f"{turn}\\n")
"""


def write_and_kill(folder, *, writers, kills, turns):
    """Let so many processes write to one file at once and kill some of them; return what each had done for certain."""
    random = Random(1)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(number), str(turns)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(writers)
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in random.sample(processes, kills):
        time.sleep(random.random() * 0.03)
        os.kill(process.pid, signal.SIGKILL)
    codes = [process.wait() for process in processes]
    assert codes.count(-signal.SIGKILL) > kills // 2, "most of them still wrote when they were killed"
    for process in processes:
        process.stdin.close()
        process.stdout.close()
    done = {number: folder / f"done_{number}" for number in range(writers)}
    lines = {number: path.read_text().splitlines() for number, path in done.items() if path.exists()}
    return {number: int(turns[-1]) for number, turns in lines.items() if turns}


def check_survival(folder, done):
    """Every session that its writer knew to be written is there, in a file that can be read."""
    stored = {test: entry for test, _, entry in baselines.every_stored(folder)}
    assert done
    for number, turn in done.items():
        sessions = stored[f"tests/test_pool.py::test_{number}"].sessions["env"]
        turns = [each["speedup"][1] for each in sessions]
        assert turns[-1] in (turn, turn + 1), "killed between writing and saying so"
        assert turns == list(range(turns[0], turns[-1] + 1))[-baselines.KEPT :]
    assert len(list((folder / "tests").iterdir())) <= 2, "at most the last partial file is left"


def test_killed_writers_tear_nothing(tmp_path):
    """Ten writers, five of them killed."""
    check_survival(tmp_path, write_and_kill(tmp_path, writers=10, kills=5, turns=120))


@pytest.mark.exhaustive
def test_a_hundred_writers_and_fifty_kills(tmp_path):
    """The same at the size that was promised."""
    check_survival(tmp_path, write_and_kill(tmp_path, writers=100, kills=50, turns=20))


def test_environment_of_this_process():
    """The key says system, Python, GIL and cores; cores are those that the process may use."""
    here = machine.environment()

    assert here.key.count("/") == 3
    assert here.python == f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert here.gil == ("gil" if getattr(sys, "_is_gil_enabled", lambda: True)() else "free-threaded")
    assert machine.effective_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4.0),
        ({}, None),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_quota_of_a_container(tmp_path: Path, files, quota):
    """Version 2 and version 1 of Linux' control groups; no limit and nonsense are none."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert machine._cgroup_quota(tmp_path) == quota
