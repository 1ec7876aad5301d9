"""Stored sessions as lines and rows."""

from __future__ import annotations

import csv
import io

import pytest

from pytest_concur.__main__ import main
from pytest_concur.measure.baselines import Baselines
from pytest_concur.report.trend import sparkline


@pytest.mark.parametrize(
    ("values", "bars"), [([1, 2, 3], "▁▅█"), ([2, 2], "▅▅"), ([3, 1], "█▁"), ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█")]
)
def test_sparkline(values, bars):
    """The least value is the lowest bar, the greatest the highest."""
    assert sparkline(values) == bars


def store(folder):
    speedups = [{"at": f"2026-11-2{n}", "speedup": [1, 2 + n, 9]} for n in range(3)]
    Baselines(folder).write("tests/test_pool.py::test_fetch", "fetch", "s", "linux/cp313/gil/c2", speedups, "append")
    latencies = [{"latency": {"p50": 1.5, "p99": None}}, {"latency": {"p50": 2.5, "p99": 9}}]
    Baselines(folder).write("tests/test_pool.py::test_load", "load", "s", "linux/cp313/gil/c2", latencies, "append")


def test_lines(tmp_path, capsys):
    """One line for each measurement and environment."""
    store(tmp_path)

    assert main(["trend", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tests/test_pool.py::test_fetch (fetch)  linux/cp313/gil/c2  speedup ▁▅█  2.00 -> 4.00",
        "tests/test_pool.py::test_load (load)  linux/cp313/gil/c2  p50 ms ▁█  1.50 -> 2.50",
    ]


def test_rows(tmp_path, capsys):
    """One row for each session."""
    store(tmp_path)

    assert main(["trend", str(tmp_path), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["measurement"], row["session"], row["value"]) for row in rows] == [
        ("fetch", "1", "2"), ("fetch", "2", "3"), ("fetch", "3", "4"), ("load", "1", "1.5"), ("load", "2", "2.5"),
    ]  # fmt: skip
    assert rows[0]["at"] == "2026-11-20"


def test_errors(tmp_path, capsys):
    """No folder, a damaged file: exit code 2 and a sentence."""
    assert main(["trend", str(tmp_path / "none")]) == 2
    assert "--concur-update-baselines" in capsys.readouterr().err
    (tmp_path / "x.json").write_text("{")
    assert main(["trend", str(tmp_path)]) == 2
    assert "damaged" in capsys.readouterr().err
