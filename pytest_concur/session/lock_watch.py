"""Let code of the user's scope run once more with its locks watched."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from pytest_concur.instrument.cache import CodeCache
from pytest_concur.instrument.patch import Mode, Patch
from pytest_concur.instrument.scope import Scope
from pytest_concur.measure.comparison import LockWaits
from pytest_concur.measure.contention import LockWatch

WATCHED_S = 0.05
"""Wall time that is watched, or one call if that takes longer."""


def watch_locks(scope: Scope, cache: CodeCache, module: str, function: Callable[[], Any]) -> LockWaits:
    """Return what threads of ``function`` spend waiting for locks; see :meth:`LockWatch.result`."""
    watch = LockWatch(on_thread=lambda: patch.discovery.start_in_thread())
    patch = Patch(scope, cache, watch.bind, module, waits_for_calls=False)
    try:
        patch.install(Mode(granularity="sync"))
        patch.discovery.start()
        function()
        patch.absorb(freeze_names=False)
        patch.discovery.stop()
        watch.reset()
        begin = perf_counter()
        while True:
            function()
            if perf_counter() - begin > WATCHED_S:
                return watch.result()
    finally:
        patch.discovery.stop()
        patch.remove()
        cache.save()
