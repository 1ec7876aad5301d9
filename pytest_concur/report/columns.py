"""A failing schedule as a table: one column per task, the lines that matter, switches marked."""

from __future__ import annotations

import linecache
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from pytest_concur.model.conflicts import Crossing, Intrusion, by_place
from pytest_concur.model.trace import ScheduleTrace, Step, Taking
from pytest_concur.model.waiting import Place, Waiting

WIDTH = 40
"""Characters of a column."""

MOST_ROWS = 40
ROWS_AROUND = 6
"""Where there are more, so many are shown around each one that explains the failure, and at the end."""


@dataclass(frozen=True, slots=True)
class _Row:
    task: int
    text: str
    is_switch: bool
    explains: bool = False


def columns(trace: ScheduleTrace, waiting: Sequence[Waiting], why: Intrusion | Crossing | None) -> str:
    """Return the table as text; empty if there is nothing to show.

    Args:
        trace: What was done.
        waiting: Who waits at the end, where tasks are stuck.
        why: What explains the failure, and is shown in any case.
    """
    rows, omitted = _rows(trace, waiting, why)
    if not rows:
        return ""
    tasks = sorted({row.task for row in rows})
    names = [trace.names[task] for task in tasks]
    lines = ["  " + " | ".join(name.ljust(WIDTH)[:WIDTH] for name in names).rstrip()]
    lines.append("  " + "-+-".join("-" * WIDTH for _ in tasks))
    shown = _most_telling(rows)
    for number, after in zip(shown, [*shown[1:], len(rows)], strict=True):
        row = rows[number]
        cells = [(row.text if row.task == task else "").ljust(WIDTH) for task in tasks]
        lines.append(("> " if row.is_switch else "  ") + " | ".join(cells).rstrip())
        if after > number + 1:
            lines.append(f"  … {after - number - 1} rows")
    if omitted:
        steps = "step" if omitted == 1 else "steps"
        lines.append(f"  … {omitted} {steps} left out, of one task alone or on places that nobody else changes")
    lines.append("  (> : another task goes on)")
    return "\n".join(lines)


def _rows(trace: ScheduleTrace, waiting: Sequence[Waiting], why: Intrusion | Crossing | None) -> tuple[list[_Row], int]:
    """Keep the steps on places that several tasks use, one of them writing; a line once where it stands in a row.

    Where there are none, all steps of tasks. Where tasks are stuck, the locks that they took and wait for instead.
    """
    start = next((place for place, step in enumerate(trace.steps) if step.started > 1), 0)  # before, nothing can race
    shared: set[int] = set()
    for steps in by_place(trace.steps[start:]):
        if len({step.task for step in steps}) > 1 and any(step.writes for step in steps):
            shared.update(map(id, steps))
    kept = [step for step in trace.steps[start:] if id(step) in shared]
    if not kept and not waiting:
        kept = [step for step in trace.steps if step.task]
    omitted = len(trace.steps) - len(kept)
    cells = _with_locks(trace, kept, waiting)
    rows: list[_Row] = []
    telling = set() if why is None else {id(step) for step in why.steps}
    for task, text, step in cells:
        if not rows or (rows[-1].task, rows[-1].text) != (task, text):
            rows.append(_Row(task, text, bool(rows) and rows[-1].task != task))
        if id(step) in telling:
            rows[-1] = replace(rows[-1], explains=True)
    return rows, omitted


def _most_telling(rows: Sequence[_Row]) -> list[int]:
    """Return the numbers of the rows to show."""
    count = len(rows)
    if count <= MOST_ROWS:
        return list(range(count))
    centres = [number for number, row in enumerate(rows) if row.explains]
    if not centres:
        return list(range(count - MOST_ROWS, count))
    near = {each for number in [*centres, count - 1] for each in range(number - ROWS_AROUND, number + ROWS_AROUND + 1)}
    return sorted(near.intersection(range(count)))


def _with_locks(
    trace: ScheduleTrace, kept: Sequence[Step], waiting: Sequence[Waiting]
) -> list[tuple[int, str, Step | None]]:
    """Return who does what, in order: steps, where locks were taken that somebody waits for, and who waits where."""
    held: dict[tuple[Hashable, str | None], Taking] = {}
    for taking in trace.takings:
        held[taking.lock, trace.names[taking.task]] = taking  # the latest one counts
    awaited = dict.fromkeys((each.awaited, each.holder) for each in waiting)
    taken = sorted((held[each] for each in awaited if each in held), key=trace.takings.index)
    waits = [each for each in waiting if each.task in trace.names and not each.is_for_an_end]
    if not kept and not taken:
        return []  # the waits are all there is, and are told below
    lines = {(each.task, each.place) for each in taken} | {(trace.names.index(each.task), each.place) for each in waits}
    kept = [step for step in kept if (step.task, step.place) not in lines]  # what looks the lock up
    cells: list[tuple[int, str, Step | None]] = []
    position = {id(step): number for number, step in enumerate(trace.steps)}
    for step in kept:
        while taken and taken[0].steps <= position[id(step)]:
            cells.append(_taking_cell(taken.pop(0)))
        cells.append((step.task, _cell(step), step))
    cells += map(_taking_cell, taken)
    return cells + [(trace.names.index(each.task), _text(each.place, "[waits]"), None) for each in waits]


def _taking_cell(taking: Taking) -> tuple[int, str, None]:
    return taking.task, _text(taking.place, "[takes]"), None


def _cell(step: Step) -> str:
    verb = "calls" if step.is_call else "writes" if step.writes else "reads"
    effect = f"[{verb} {step.value}]" if step.value is not None else f"[{verb}]"
    return _text(step.place, effect, step.shown)


def _text(place: Place, effect: str, accessed: str = "") -> str:
    """Return a cell: the line's source, or, where it does not come to the access that is meant, a name for that."""
    source = linecache.getline(place.file, place.line).strip()
    room = WIDTH - len(str(place)) - len(effect) - 2
    if len(source) > room:
        source = source[: max(room - 1, 0)] + "…"
        is_seen = re.search(rf"\b{re.escape(accessed.rpartition('.')[2])}", source) is not None
        if accessed and not is_seen and len(accessed) + 2 <= room:
            source = f"… {accessed}"
    return f"{place} {source} {effect}"
