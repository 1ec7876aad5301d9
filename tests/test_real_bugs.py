"""Bugs that nobody planted, in released packages: found with default settings, replayed, and gone when fixed.

The environment variable ``CONCUR_REAL_BUGS`` names a folder with one subfolder for each bug:

- ``meta.json``: ``python``, the interpreter's version; ``scope``, the packages to instrument; ``fixed_version``, null
  if there is none; ``fixed_residual``, if the fixed release still has a race between bytecodes.
- ``program.py``: ``setup() -> state``, ``threads``, callables that take the state, and ``check(state)``.
- ``requirements-buggy.txt`` and ``requirements-fixed.txt``: everything to install, pinned.

The tests are those of this Python's minor version. Packages stay in the temporary directory from run to run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from project import assert_passes, replay, run_project

FOLDER = os.environ.get("CONCUR_REAL_BUGS")
MINOR = "{}.{}".format(*sys.version_info)

FOUND_WITHIN_S = 10.0
"""Most wall time of the whole pytest process that finds the bug: start-up, search, minimization."""

REPLAYS = 20

NO_CONCURRENCY_BUG = frozenset({"sequential-failure", "uncontrolled"})

TEST = """\
import sys
from functools import partial

import pytest

sys.path.insert(0, {site!r})
import program


@pytest.mark.concurrency(scope={scope!r})
def test_program(concur):
    state = program.setup()
    concur.run(*[partial(thread, state) for thread in program.threads])
    program.check(state)
"""


@dataclass(frozen=True, slots=True)
class Bug:
    """One subfolder."""

    folder: Path
    scope: tuple[str, ...]
    is_fixed: bool
    """There is a release without the bug."""

    fixed_keeps_a_race: bool
    """The fixed release still fails, but only with a switch where a GIL build makes none."""

    def test_module(self, release: str) -> str:
        """Return the test of a user who has ``release``, ``buggy`` or ``fixed``, installed."""
        return TEST.format(site=str(self._installed(release)), scope=list(self.scope))

    def _installed(self, release: str) -> Path:
        """Return a folder with the packages of ``release``, installed at the first call."""
        requirements = self.folder / f"requirements-{release}.txt"
        pins = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
        sites = Path(tempfile.gettempdir()) / "concur-real-bugs"
        site = sites / f"{self.folder.name}-{release}-{MINOR}-{pins}"
        if not site.is_dir():
            sites.mkdir(exist_ok=True)
            partial = tempfile.mkdtemp(prefix="partial-", dir=sites)
            pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*pip, "--target", partial, "-r", str(requirements)], check=True)
            try:
                Path(partial).rename(site)
            except OSError:  # another process was faster
                shutil.rmtree(partial)
        return site


def bugs_of_this_python() -> list[Bug]:
    found = []
    for file in sorted(Path(FOLDER).glob("*/meta.json")) if FOLDER else []:
        meta = json.loads(file.read_text(encoding="utf-8"))
        if meta["python"].split(".")[:2] == MINOR.split("."):
            found.append(
                Bug(
                    folder=file.parent,
                    scope=tuple(meta["scope"]),
                    is_fixed=bool(meta.get("fixed_version")),
                    fixed_keeps_a_race="fixed_residual" in meta,
                )
            )
    return found


BUGS = bugs_of_this_python()

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(not FOLDER, reason="CONCUR_REAL_BUGS names no folder of bugs"),
    pytest.mark.skipif(not BUGS, reason=f"no bug in CONCUR_REAL_BUGS is for Python {MINOR}"),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.folder.name)
def test_released_bug_is_found_and_replays(bug: Bug, pytester: pytest.Pytester) -> None:
    """Default settings find the bug within seconds, and its token shows the same failure every time."""
    shutil.copy(bug.folder / "program.py", pytester.path)
    text = bug.test_module("buggy")

    began = time.perf_counter()
    result = run_project(pytester, text)
    elapsed = time.perf_counter() - began

    assert result.verdict == "failed", result.output
    finding = result.findings[0]
    assert finding.kind not in NO_CONCURRENCY_BUG, result.output
    assert elapsed < FOUND_WITHIN_S
    seen = [replay(pytester, result.only.nodeid, finding.token) for _ in range(REPLAYS)]
    assert [(again.exit, again.findings[0].kind) for again in seen] == [(1, finding.kind)] * REPLAYS, seen[-1].output


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.is_fixed], ids=lambda bug: bug.folder.name)
def test_fixed_release_passes(bug: Bug, pytester: pytest.Pytester) -> None:
    """Settings that find the bug find nothing in the release that fixed it."""
    shutil.copy(bug.folder / "program.py", pytester.path)
    # botocore's fix still asks `if name in self._deferred` and then looks up `self._deferred[name]` without a lock. No
    # GIL build switches between these bytecodes, but a free-threaded one can: a finding there is true, no false alarm.
    narrowed = ["--concur-granularity=gil"] if bug.fixed_keeps_a_race else []

    result = run_project(pytester, bug.test_module("fixed"), *narrowed)

    assert_passes(result, warnings=("data-race", "lock-order"))
