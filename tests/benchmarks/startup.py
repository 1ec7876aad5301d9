"""Measure what the plugin costs before and beside exploring.

    python tests/benchmarks/startup.py [--rounds 7] [--only NAME] [--json FILE]

Whatever is compared runs in the same rounds, one after the other, in an order that turns from round to round, so a busy
machine slows all alike. Figures are medians over rounds and ratios of such medians. Each run is a fresh pytest process.

- import: the plugin's module, imported after pytest; every pytest run in an environment that has the plugin pays this.
- unmarked: 1,000 tests without the marker, with the plugin and with ``-p no:concur``, the whole process.
- scope: a marked test of two SQLAlchemy engines with ``scope=["sqlalchemy"]``, less the same test without it. The
  package is installed with pip into the temporary directory unless it is there already.
- small: a marked test of a project with ten functions, one schedule; that is mostly what comes before it.
- plain: a loop over attributes and items in a single task, against the same loop with ``--concur=off``.

"Cold" runs have a cache directory of their own, "cached" ones that of the cold run before. Bytecode files (.pyc) exist
in both: an unmeasured round comes first.
"""

import argparse
import importlib.util
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

Samples = Mapping[str, Sequence[float]]
"""What was measured, by name; the values at one place come from one round."""

HANG_S = 120
SQLALCHEMY = "SQLAlchemy==2.0.36"


class NotMeasured(Exception):
    """A run failed; the message says how."""


@dataclass(frozen=True)
class Figure:
    """One line of the answer."""

    what: str
    value: float
    unit: str
    """``ms``, ``s`` or ``times``."""

    at_most: float | None = None
    """The promise, if this is about one."""

    @property
    def line(self) -> str:
        shown = f"{self.what}: {self.value:.4g} {self.unit}"
        if self.at_most is None:
            return shown
        verdict = "holds" if self.value <= self.at_most else "MISSED"
        return f"{shown}, at most {self.at_most:g}: {verdict}"


def in_rounds(rounds: int, ways: Mapping[str, Callable[[], float]], *, can_turn: bool = True) -> dict[str, list[float]]:
    """Call every one of ``ways`` once a round and return what they measured, without the first round, a warm-up.

    ``can_turn``: every other round may go backwards.
    """
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in reversed(ways) if can_turn and turn % 2 else ways:
            value = ways[name]()
            if turn:
                samples[name].append(value)
    return samples


def median_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median over rounds, each compared with itself: the clock of a machine may change from round to round."""
    return statistics.median(mine / theirs for mine, theirs in zip(one, other, strict=True))


def median_difference(one: Sequence[float], other: Sequence[float]) -> float:
    """The median over rounds, each compared with itself."""
    return statistics.median(mine - theirs for mine, theirs in zip(one, other, strict=True))


# --- running ---------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """A pytest process that has ended well."""

    wall_s: float
    cpu_s: float | None
    """User and system time; None where the platform does not tell."""


def run(command: Sequence[str], folder: Path) -> Run:
    """Run Python with ``command`` in ``folder``.

    Raises:
        NotMeasured: it hung or failed.
    """
    cpu_before, began = _children_cpu_s(), perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANG_S,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{' '.join(command)} did not end within {HANG_S} s") from None
    wall, cpu_after = perf_counter() - began, _children_cpu_s()
    if done.returncode:
        raise NotMeasured(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}")
    return Run(wall, cpu_after - cpu_before if cpu_after is not None and cpu_before is not None else None)


def _children_cpu_s() -> float | None:
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_pytest(folder: Path, *args: str) -> Run:
    return run(["-m", "pytest", "-q", "--tb=short", f"--rootdir={folder}", *args], folder)


def test_seconds(folder: Path, file: str, cache: str) -> float:
    """Run the one test in ``file`` with the cache directory ``cache``; return its seconds, set-up and tear-down too."""
    report = folder / "junit.xml"
    run_pytest(folder, "-o", f"cache_dir={cache}", f"--junit-xml={report}", file)
    [case] = ElementTree.parse(report).iter("testcase")
    return float(case.attrib["time"])


@contextmanager
def project(files: Mapping[str, str]) -> Iterator[Path]:
    """A folder with ``files`` that pytest takes for a project."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")  # ends pytest's search for a configuration here
        for file, text in files.items():
            (folder / file).write_text(text)
        yield folder


def cold_then_cached(folder: Path, files: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of the test in each of ``files``, as ``FILE cold`` and ``FILE cached``."""
    fresh = (f"cache-{number}" for number in itertools.count())
    latest: dict[str, str] = {}

    def cold(file: str) -> float:
        latest[file] = next(fresh)
        return test_seconds(folder, file, latest[file])

    ways: dict[str, Callable[[], float]] = {}
    for file in files:
        ways[f"{file} cold"] = lambda file=file: cold(file)
        ways[f"{file} cached"] = lambda file=file: test_seconds(folder, file, latest[file])
    return in_rounds(rounds, ways, can_turn=False)


# --- import ----------------------------------------------------------------------------------------------------------

IMPORT = """\
import time
import pytest
began = time.perf_counter()
import pytest_concur.plugin
ended = time.perf_counter()
open("answer", "w").write(str((ended - began) * 1000))
"""


def measure_import(rounds: int) -> tuple[list[Figure], Samples]:
    with project({"import_plugin.py": IMPORT}) as folder:

        def milliseconds() -> float:
            run(["import_plugin.py"], folder)
            return float((folder / "answer").read_text())

        samples = in_rounds(rounds, {"plugin ms": milliseconds})
    return [Figure("import of the plugin", statistics.median(samples["plugin ms"]), "ms", 20)], samples


# --- unmarked --------------------------------------------------------------------------------------------------------

UNMARKED = "".join(f"def test_{number}():\n    assert {number} + 1 == {number + 1}\n\n\n" for number in range(100))
UNMARKED_FILES = 10


def measure_unmarked(rounds: int) -> tuple[list[Figure], Samples]:
    cpu: dict[str, list[float]] = {"with": [], "without": []}
    with project({f"test_{number}.py": UNMARKED for number in range(UNMARKED_FILES)}) as folder:

        def seconds(name: str, *args: str) -> float:
            done = run_pytest(folder, "-p", "no:cacheprovider", *args)
            if done.cpu_s is not None:
                cpu[name].append(done.cpu_s)
            return done.wall_s

        ways = {"with": lambda: seconds("with"), "without": lambda: seconds("without", "-p", "no:concur")}
        wall = in_rounds(rounds, ways)
    figures = [
        Figure("1,000 unmarked tests, without the plugin", statistics.median(wall["without"]), "s"),
        Figure("with ÷ without, wall time", median_ratio(wall["with"], wall["without"]), "times", 1.02),
    ]
    if cpu["with"]:
        cpu = {name: values[1:] for name, values in cpu.items()}  # the warm-up
        figures.append(Figure("with ÷ without, CPU time", median_ratio(cpu["with"], cpu["without"]), "times"))
    return figures, {f"{name} s": values for name, values in wall.items()} | {
        f"{name} CPU s": values for name, values in cpu.items()
    }


# --- scope -----------------------------------------------------------------------------------------------------------

SQLALCHEMY_TEST = """\
import sys

sys.path.insert(0, {site!r})
import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"

    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def store_and_find():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(User(name="ada"))
        session.commit()
        name = session.scalars(select(User)).one().name
    engine.dispose()
    return name


@pytest.mark.concurrency(schedules=1, max_steps=10**7, seconds=60{more})
def test_two_engines(concur):
    assert concur.run(store_and_find, store_and_find) == ["ada", "ada"]
"""


def measure_scope(rounds: int) -> tuple[list[Figure], Samples]:
    site = _sqlalchemy()
    files = {
        "test_plain.py": SQLALCHEMY_TEST.format(site=site, more=""),
        "test_scoped.py": SQLALCHEMY_TEST.format(site=site, more=', scope=["sqlalchemy"]'),
    }
    with project(files) as folder:
        samples = cold_then_cached(folder, list(files), rounds)
    figures = [
        Figure(
            f'scope=["sqlalchemy"], {state}',
            median_difference(samples[f"test_scoped.py {state}"], samples[f"test_plain.py {state}"]),
            "s",
            at_most,
        )
        for state, at_most in [("cold", 2.0), ("cached", 0.5)]
    ]
    return figures, samples


def _sqlalchemy() -> str:
    """Return a folder to import SQLAlchemy from, empty if that needs none; install it there at the first call."""
    if importlib.util.find_spec("sqlalchemy") is not None:
        return ""
    site = Path(tempfile.gettempdir()) / "concur-benchmarks" / f"{SQLALCHEMY}-{sys.implementation.cache_tag}"
    if not site.is_dir():
        site.parent.mkdir(exist_ok=True)
        partial = tempfile.mkdtemp(prefix="partial-", dir=site.parent)
        pip = ["-m", "pip", "install", "-qq", "--disable-pip-version-check", "--target", partial, SQLALCHEMY]
        run(pip, site.parent)
        Path(partial).rename(site)
    return str(site)


# --- small -----------------------------------------------------------------------------------------------------------

BANK = """\
import threading


class Account:
    def __init__(self, balance):
        self.balance = balance
        self.lock = threading.Lock()

    def deposit(self, amount):
        check(amount)
        with self.lock:
            self.balance += amount

    def withdraw(self, amount):
        check(amount)
        with self.lock:
            if covers(self, amount):
                self.balance -= amount
                return amount
        return 0

    def read(self):
        with self.lock:
            return self.balance


def check(amount):
    if amount < 0:
        raise ValueError(amount)


def covers(account, amount):
    return account.balance >= amount


def transfer(source, target, amount):
    target.deposit(source.withdraw(amount))


def total(accounts):
    return sum(account.read() for account in accounts)


def open_accounts(balances):
    return [Account(balance) for balance in balances]


def report(accounts):
    return ", ".join(str(account.read()) for account in accounts)
"""

BANK_TEST = """\
import pytest
from bank import open_accounts, report, total, transfer


@pytest.mark.concurrency(schedules=1, seconds=60)
def test_total(concur):
    a, b = accounts = open_accounts([100, 100])
    concur.run(lambda: transfer(a, b, 30), lambda: transfer(b, a, 50))
    assert total(accounts) == 200, report(accounts)
"""


def measure_small(rounds: int) -> tuple[list[Figure], Samples]:
    with project({"bank.py": BANK, "test_bank.py": BANK_TEST}) as folder:
        samples = cold_then_cached(folder, ["test_bank.py"], rounds)
    figures = [
        Figure(f"a small test up to its first schedule, {state}", statistics.median(values), "s", 0.3)
        for state, values in zip(["cold", "cached"], samples.values(), strict=True)
    ]
    return figures, samples


# --- plain -----------------------------------------------------------------------------------------------------------

LOOP_SCHEDULES = 5

LOOP_TEST = """\
import time

import pytest

SECONDS = []


class State:
    def __init__(self):
        self.x = 0
        self.d = [0] * 8


def loop(clock=time.perf_counter):  # called by a local name it stays the real clock; the virtual one stands still
    s = State()
    began = clock()
    for i in range(20_000):
        v = s.x
        s.x = v + 1
        s.d[i & 7] = v
    SECONDS.append(clock() - began)
    return s.x


@pytest.mark.concurrency(strategy="pct", schedules={schedules}, max_steps=10**7, seconds=60)
def test_loop(concur):
    assert concur.run(loop) == [20_000]


def test_writes_the_times():
    open("answer", "w").write(" ".join(map(str, SECONDS)))
"""


def measure_plain(rounds: int) -> tuple[list[Figure], Samples]:
    with project({"test_loop.py": LOOP_TEST.format(schedules=LOOP_SCHEDULES)}) as folder:

        def milliseconds(*args: str) -> float:
            run_pytest(folder, *args)
            seconds = [float(word) for word in (folder / "answer").read_text().split()]
            if (len(seconds) > LOOP_SCHEDULES) == bool(args):  # sequential runs come before the schedules
                raise NotMeasured(f"the loop ran {len(seconds)} times with {args}")
            return statistics.median(seconds[-LOOP_SCHEDULES:]) * 1000

        ways = {"explored ms": milliseconds, "off ms": lambda: milliseconds("--concur=off")}
        samples = in_rounds(rounds, ways)
    figures = [
        Figure("20,000 rounds of a plain loop, --concur=off", statistics.median(samples["off ms"]), "ms"),
        Figure("explored ÷ off", median_ratio(samples["explored ms"], samples["off ms"]), "times", 2.5),
    ]
    return figures, samples


# --- the command -----------------------------------------------------------------------------------------------------

MEASURES: dict[str, Callable[[int], tuple[list[Figure], Samples]]] = {
    "import": measure_import,
    "unmarked": measure_unmarked,
    "scope": measure_scope,
    "small": measure_small,
    "plain": measure_plain,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the plugin costs before and beside exploring.")
    parser.add_argument("--rounds", type=int, default=7, help="how often to measure everything (default: 7)")
    parser.add_argument("--only", action="append", choices=MEASURES, metavar="NAME", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")

    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, medians of {options.rounds} rounds")
    answers = {}
    for name in options.only or MEASURES:
        try:
            figures, samples = MEASURES[name](options.rounds)
        except NotMeasured as why:
            print(f"{name}: not measured: {why}")
            answers[name] = {"not_measured": str(why)}
            continue
        for figure in figures:
            print(f"{name}: {figure.line}", flush=True)
        answers[name] = {"figures": [figure.line for figure in figures], "samples": samples}
    if options.json:
        machine = {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count()}
        options.json.write_text(json.dumps({"machine": machine, **answers}, indent=2) + "\n")


if __name__ == "__main__":
    main()
