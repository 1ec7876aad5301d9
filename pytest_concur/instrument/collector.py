"""The cyclic collector: kept out of the runs, and asked for the objects that there are."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_is_frozen = False


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the collector out of the runs: finalizers at moments of its choosing would change the schedule."""
    global _is_frozen
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    _is_frozen = True
    try:
        yield
    finally:
        _is_frozen = False
        gc.collect()  # what the runs left, now and not in the middle of somebody else's work
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def all_objects() -> list[object]:
    """Return what the collector knows of; what is frozen stays so, though it is listed."""
    if not _is_frozen:
        return gc.get_objects()
    gc.unfreeze()
    try:
        return gc.get_objects()
    finally:
        gc.freeze()
