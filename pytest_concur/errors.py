"""Everything users can catch, and the one private exception that ends a task.

Users' mistakes raise :class:`ConcurrencyUsageError`; a finding raises a :class:`ConcurrencyFailure`, so that a failed
test is an ordinary test failure.
"""

from __future__ import annotations


class ConcurrencyUsageError(Exception):
    """The user asked for something that cannot be done; the text names value, place, cause and remedy."""


class BaselineError(ConcurrencyUsageError):
    """A file of stored measurements cannot be read or written; the text says how to get out of it."""


class InternalError(Exception):
    """pytest-concur itself went wrong, which says nothing of the test; the cause is chained to it."""


class ConcurrencyFailure(AssertionError):
    """A finding that has no exception of its own in the test: a deadlock, a livelock, a leak, a strange outcome."""


class DeadlockFound(ConcurrencyFailure):
    """Unfinished tasks exist, none of them can ever run again."""


class LivelockFound(ConcurrencyFailure):
    """Tasks keep running under a fair schedule and come back to the same states for ever."""


class NondeterminismFound(ConcurrencyFailure):
    """A schedule gave an outcome that no sequential order of the tasks gives."""


class DataRaceFound(ConcurrencyFailure):
    """Two tasks access one place, one writes, nothing puts them in order; with ``data_races="error"``."""


class LockOrderFound(ConcurrencyFailure):
    """Tasks take the same locks in opposite orders; with ``lock_order="error"``."""


class ResultsDiffer(ConcurrencyFailure):
    """``concur.compare`` got other results from the concurrent function than from the sequential one."""


class PrematureConcurrencyFound(ConcurrencyFailure):
    """Concurrent code is not as fast as ``min_speedup`` asks, and was not when it was measured again."""


class ThroughputRegressionFound(ConcurrencyFailure):
    """Concurrent code is slower than the stored sessions allow, and was when it was measured again."""


class LatencyRegressionFound(ConcurrencyFailure):
    """The tail of a handler's latency is longer than the stored sessions allow, and was when it was measured again."""


class ThreadLeakFound(ConcurrencyFailure):
    """A thread was alive, or a lock was held, when the test had returned and everything else had ended."""


class Hung(ConcurrencyFailure):
    """Code that runs freely did not come back in time."""


class ReplayDiverged(ConcurrencyFailure):
    """A replay token does not fit the code any more, or its failure is gone."""


class TaskAborted(BaseException):
    """Private: raised in a parked task to unwind it when its run is over. Never reaches a user's test result."""


class BodyEnds(BaseException):
    """Private: ends a controlled run of a body where it begins to measure, which has no meaning under control."""
