"""What pytest collects while a test runs, to show or hand out: of all the runs of a body only the last one's.

A body runs hundreds of times in one call of its test. Its output, its log records and its properties are those of one
run, as if the others had not been. pytest has no public way to say so; what is used of its inside is kept in this
module and in ``fresh_fixtures``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from _pytest.logging import caplog_records_key


class Collected:
    """What is collected for one test item from its call on."""

    def __init__(self, item: pytest.Function) -> None:
        plugins = item.config.pluginmanager
        self._output: Any = getattr(plugins.getplugin("capturemanager"), "_global_capturing", None)
        logging: Any = plugins.getplugin("logging-plugin")
        self._handlers = [logging.caplog_handler, logging.report_handler] if logging is not None else []
        self._records: dict[str, Any] = item.stash.get(caplog_records_key, {})
        self._lists: list[tuple[list[Any], int]] = [
            (each, len(each)) for each in (item.user_properties, item._report_sections)
        ]

    def forget(self) -> None:
        """Drop what has been collected so far; called before each run, so it looks before it does anything."""
        if any(map(_holds_text, self._captures)):
            self._output.readouterr()
        for handler in self._handlers:
            if handler.records:
                handler.reset()
        self._hand_out_records()
        for collected, length in self._lists:
            del collected[length:]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the last run's back afterwards, whatever runs meanwhile."""
        texts = self._output.readouterr() if self._captures else ()
        logs = [(handler, handler.records, handler.stream) for handler in self._handlers]
        ends = [collected[length:] for collected, length in self._lists]
        try:
            yield
        finally:
            self.forget()
            for capture, text in zip(self._captures, texts, strict=False):
                capture.tmpfile.write(text)
            for handler, records, stream in logs:
                handler.records, handler.stream = records, stream
            self._hand_out_records()
            for (collected, _), end in zip(self._lists, ends, strict=True):
                collected += end

    @property
    def _captures(self) -> list[Any]:
        """That of standard output, and that of errors; none where nothing is captured."""
        both = [] if self._output is None else [self._output.out, self._output.err]
        return [] if None in both else both

    def _hand_out_records(self) -> None:
        if self._handlers:
            self._records["call"] = self._handlers[0].records


def _holds_text(capture: Any) -> bool:
    return not capture.tmpfile.closed and capture.tmpfile.buffer.tell() > 0
