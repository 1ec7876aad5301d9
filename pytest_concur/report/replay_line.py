"""The last line of each report: the command that runs the schedule again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_NOT_SAFE_IN_QUOTES = frozenset('"$`\\!')
"""What a shell changes between double quotes."""


def replay_line(nodeid: str, flags: Sequence[str], token: str) -> str:
    """Return the line, ready to be copied; ``flags``: further options that the run had on its command line."""
    quoted = f'"{nodeid}"' if _NOT_SAFE_IN_QUOTES.isdisjoint(nodeid) else shlex.quote(nodeid)
    return " ".join(["replay: pytest", quoted, *map(shlex.quote, flags), f"--concur-replay={token}"])
