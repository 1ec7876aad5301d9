"""The cyclic collector: kept out of the runs, and asked for the objects that there are."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MOST_FROZEN_BY_CPYTHON = 1000
"""Objects: CPython 3.12 freezes some hundred when it starts. Who freezes a heap freezes thousands."""


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the collector out of the runs: finalizers at moments of its choosing would change the schedule."""
    was_enabled, was_frozen = gc.isenabled(), _is_frozen()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.collect()  # what the runs left, now and not in the middle of somebody else's work
        if not was_frozen:  # else somebody wants it so: before a fork, for instance
            gc.unfreeze()
        if was_enabled:
            gc.enable()


def all_objects() -> list[object]:
    """Return what the collector knows of; what is frozen stays so, though it is listed."""
    if not _is_frozen():
        return gc.get_objects()
    gc.unfreeze()
    try:
        return gc.get_objects()
    finally:
        gc.freeze()


def _is_frozen() -> bool:
    return gc.get_freeze_count() > MOST_FROZEN_BY_CPYTHON
