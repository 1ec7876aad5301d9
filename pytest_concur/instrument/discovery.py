"""Notice which code runs: a code object's first start, at next to no cost afterwards.

From 3.12 on by ``sys.monitoring`` (PEP 669), where a started code object is switched off after its first event; on 3.11
by a profile function, which is set for each thread and costs a call for every function call while it is on.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from pytest_concur.instrument import interpreter

Wanted = Callable[[types.CodeType], bool]


class Discovery:
    """Collects the code objects that start while it is on and that are wanted."""

    def __init__(self, wanted: Wanted) -> None:
        """``wanted``: whether a code object is of interest; asked once or more for each."""
        self._wanted = wanted
        self._tool: int | None = None
        self.seen: dict[int, types.CodeType] = {}
        """Code objects met, by identity."""

        self.is_on = False

    @property
    def sees_all(self) -> bool:
        """Whether nothing starts unseen, in whatever run, while it is on."""
        return self._tool is not None

    def start(self) -> None:
        """Begin to listen, in this thread and, from 3.12 on, in all others."""
        if self.is_on:
            if self._tool is None and sys.getprofile() is None:
                sys.setprofile(self._on_profile)  # the user's code had a profiler of its own
            return
        self.is_on = True
        if not interpreter.HAS_MONITORING:
            sys.setprofile(self._on_profile)
            return
        monitoring = cast(Any, sys).monitoring
        for tool in (4, 3):  # the ids that PEP 669 leaves to anybody
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, "pytest-concur")
                self._tool = tool
                monitoring.register_callback(tool, monitoring.events.PY_START, self._on_start)
                monitoring.set_events(tool, monitoring.events.PY_START)
                monitoring.restart_events()
                return
        sys.setprofile(self._on_profile)

    def start_in_thread(self) -> None:
        """Begin to listen in a thread that was started after :meth:`start`; call it in that thread."""
        if self.is_on and self._tool is None:
            sys.setprofile(self._on_profile)

    def pause(self) -> None:
        """Stop listening until the next start, if listening costs anything; switching ``sys.monitoring`` costs more."""
        if self.is_on and self._tool is None:
            self.stop()

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Let this thread run code of ours without listening: on 3.11 each call costs a call more."""
        is_heard = sys.getprofile() == self._on_profile  # not where the user's code has set a profiler of its own
        if is_heard:
            sys.setprofile(None)
        try:
            yield
        finally:
            if is_heard:
                sys.setprofile(self._on_profile)

    def stop(self) -> None:
        """Stop listening."""
        if not self.is_on:
            return
        self.is_on = False
        if self._tool is None:
            sys.setprofile(None)
            return
        monitoring = cast(Any, sys).monitoring
        monitoring.set_events(self._tool, 0)
        monitoring.register_callback(self._tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(self._tool)
        self._tool = None

    def take(self) -> list[types.CodeType]:
        """Return what was seen since the last call."""
        seen, self.seen = self.seen, {}
        return list(seen.values())

    def _on_start(self, code: types.CodeType, offset: int) -> object:
        if id(code) not in self.seen and self._wanted(code):
            self.seen[id(code)] = code
        return cast(Any, sys).monitoring.DISABLE

    def _on_profile(self, frame: types.FrameType, event: str, argument: object) -> None:
        if event == "call":
            code = frame.f_code
            if id(code) not in self.seen and self._wanted(code):
                self.seen[id(code)] = code
