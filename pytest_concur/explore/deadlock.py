"""Say in words why nobody can go on: a cycle of holders, or waits for a signal that will never come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_concur.engine.execution import cycle_in
from pytest_concur.engine.frames import Waiting


def describe_stuck(waiting: Sequence[Waiting]) -> tuple[str, tuple[Any, ...]]:
    """Return one line for a deadlock, and its signature: equal for two runs that show the same deadlock."""
    if cycle := cycle_in(waiting):
        signature = ("deadlock", tuple(sorted((each.place.function, each.place.line) for each in cycle)))
        if len(cycle) == 1:
            one = cycle[0]
            return f"deadlock: {one.task} waits for {one.what}, which it holds itself, at {one.place}", signature
        parts = "; ".join(f"{each.task} waits for {each.what} held by {each.holder} at {each.place}" for each in cycle)
        return f"deadlock: {len(cycle)} tasks wait for each other: {parts}", signature
    roots = [each for each in waiting if each.holder is None] or list(waiting)
    parts = "; ".join(f"{each.task} waits in {each.what} at {each.place}" for each in roots)
    signature = ("deadlock", tuple(sorted((each.place.function, each.place.line) for each in roots)))
    return f"deadlock: nobody is left to wake {parts}", signature


def stuck_lines(waiting: Sequence[Waiting]) -> list[str]:
    """Return a line for each waiting task: what it waits for and where, who holds it and where that was taken."""
    lines = []
    for each in waiting:
        line = f"{each.task} waits for {each.what} at {each.place} in {each.place.function}"
        if each.holder is not None and not each.what.startswith("the end of"):
            taken = f", taken at {each.taken_at}" if each.taken_at is not None else ""
            line += f"; held by {each.holder}{taken}"
        lines.append(line)
    return lines
