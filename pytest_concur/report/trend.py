"""How stored sessions went over time: a line of text for each measurement, or rows for other tools."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BARS = "▁▂▃▄▅▆▇█"

Row = tuple[str, str, str, Sequence[Mapping[str, Any]]]
"""Test, measurement, environment, its sessions, oldest first."""


def text(rows: Iterable[Row]) -> str:
    """Return one line for each measurement and environment: its values as bars, the first and the last in figures."""
    lines = []
    for test, name, environment, sessions in rows:
        label, values = _values(sessions)
        if values:
            bars = sparkline(values)
            lines.append(f"{test} ({name})  {environment}  {label} {bars}  {values[0]:.2f} -> {values[-1]:.2f}")
    return "\n".join(lines) + "\n" if lines else "no sessions are stored\n"


def sparkline(values: Sequence[float]) -> str:
    """Return a bar for each value, from the least to the greatest; equal values give bars of one height."""
    low, high = min(values), max(values)
    if high == low:
        return BARS[len(BARS) // 2] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def table(rows: Iterable[Row]) -> str:
    """Return comma-separated values, one row for each session."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["test", "measurement", "environment", "session", "at", "figure", "value"])
    for test, name, environment, sessions in rows:
        label, values = _values(sessions)
        for number, (session, value) in enumerate(zip(sessions, values, strict=True), 1):
            writer.writerow([test, name, environment, number, session.get("at", ""), label, value])
    return out.getvalue()


def _values(sessions: Sequence[Mapping[str, Any]]) -> tuple[str, list[float]]:
    """Return what is shown of sessions: speedups of comparisons, p99 of loads or, if there are too few calls, p50."""
    if all("speedup" in session for session in sessions):
        return "speedup", [session["speedup"][1] for session in sessions]
    for share in ("p99", "p50"):
        if all(session["latency"][share] is not None for session in sessions):
            return f"{share} ms", [session["latency"][share] for session in sessions]
    return "", []
