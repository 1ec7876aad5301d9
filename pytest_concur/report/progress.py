"""The live line of a test that explores for longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from typing import Any

FIRST_AFTER_S = 1.0
EVERY_S = 0.25


class Progress:
    """Writes the line past pytest's capturing, and wipes it."""

    def __init__(self, config: Any) -> None:
        reporter = config.pluginmanager.getplugin("terminalreporter")
        self._writer: Any = getattr(reporter, "_tw", None)
        self._is_on = bool(getattr(self._writer, "hasmarkup", False)) and sys.__stdout__ is not None
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self._shown_at = 0.0

    def show(self, nodeid: str, schedules: int, seconds: float, budget: Any) -> None:
        """Show how far the test is; cheap when there is nothing to show."""
        if not self._is_on or seconds < FIRST_AFTER_S:
            return
        now = time.monotonic()
        if now - self._shown_at < EVERY_S:
            return
        self._shown_at = now
        text = line(nodeid, schedules, seconds, budget.schedules, budget.seconds)
        if self._capture is not None:
            with self._capture.global_and_fixture_disabled():
                self._write(text)
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        self._writer._file.write(f"\r{text[: self._writer.fullwidth - 1]}\x1b[K\r")
        self._writer._file.flush()


def line(nodeid: str, schedules: int, seconds: float, most_schedules: int, most_seconds: float) -> str:
    """Return the text of the line."""
    rate = schedules / seconds if seconds else 0.0
    return f"{nodeid}: {schedules} of {most_schedules} schedules, {rate:.0f}/s, {seconds:.1f} of {most_seconds:g} s"
