"""Which code sees or changes what the system keeps for a thread, and cannot be told from outside to be as it was."""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections.abc import Mapping
from typing import Any

from pytest_concur.instrument.written import nested

_TIMES = frozenset({"thread_time", "thread_time_ns", "pthread_getcpuclockid"})
_PLACES = frozenset({"get_native_id", "setpriority", "nice", "unshare", "setns", "sched_setaffinity"}) | {
    "sched_setparam",
    "sched_setscheduler",
}
_OTHERS = frozenset({"_current_frames", "_current_exceptions", "addaudithook"}) | {
    "setprofile_all_threads",
    "settrace_all_threads",
}
_FUNCTIONS = _TIMES | _PLACES | _OTHERS
_NAMES = _FUNCTIONS | {"CLOCK_THREAD_CPUTIME_ID", "RUSAGE_THREAD", "native_id", "_thread"}
_FILES = "/proc/"

_KNOWN = {  # by identity: a module may have given them names of its own
    id(function)
    for module in (os, sys, threading, time)
    for name in _FUNCTIONS
    if (function := getattr(module, name, None)) is not None
}


def looks_at_threads(code: types.CodeType, names: Mapping[str, Any]) -> bool:
    """Whether the code, or code nested in it, may ask for a thread's time, its place in the system, or all threads.

    Args:
        code: What is asked about.
        names: What its global names stand for.
    """
    for each in nested(code):
        if not _NAMES.isdisjoint(each.co_names) or any(id(names.get(name)) in _KNOWN for name in each.co_names):
            return True
        texts = [constant for constant in each.co_consts if type(constant) is str]
        if any(text in _NAMES or _FILES in text for text in texts):
            return True
    return False
