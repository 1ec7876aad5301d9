"""Explore abstract programs with the plugin, as the pytest modules into which they are translated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .machine import Finished, Program
from .translate import EXPLORING_TEST, read_outcomes, render_test_module

HANG_S = 600.0
"""Longest wait for one pytest process; whoever needs longer hangs."""


def explore(
    schedules: Sequence[tuple[Program, int]], strategy: str, seed: int
) -> list[tuple[Mapping[str, Any], frozenset[Finished]]]:  # Any: a JSON document
    """Explore each program with so many schedules at most, all in one pytest process.

    Returns:
        For each program, what the plugin reports and the outcomes that its runs have had.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = [folder / f"outcomes_{number}.json" for number in range(len(schedules))]
        for number, (program, most) in enumerate(schedules):
            text = render_test_module(program, most, strategy=strategy, seed=seed, outcomes=outcomes[number])
            (folder / f"test_{number}.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "--concur-json=report.json"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "CONCUR"))}
        done = subprocess.run(
            [*command, f"--rootdir={folder}"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        tests = {test["nodeid"]: test for test in report["tests"]}
        return [
            (tests[f"test_{number}.py::{EXPLORING_TEST}"], read_outcomes(file.read_text(encoding="utf-8")))
            for number, file in enumerate(outcomes)
        ]
