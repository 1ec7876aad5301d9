"""The report of what may go wrong although nothing has: a data race, locks in opposite orders."""

from __future__ import annotations

from collections.abc import Sequence


def render(nodeid: str, kind: str, summary: str, lines: Sequence[str], last_line: str) -> str:
    """Return the report as text; the last line runs the schedule again that showed it."""
    head = f"{kind}: {nodeid}\n  {summary}"
    why = "\n".join(f"  {line}" for line in lines)
    return f"{head}\n\n{why}\n\n{last_line}"
