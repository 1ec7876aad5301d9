"""Failures that may say no more than that nobody waited.

Virtual time runs ahead of real time, and a loop that waits is given up after so many steps. To a process, another
machine or a thread outside control that leaves no time at all. So a failure that came after time had run ahead, or
where tasks wait for ever, counts if it also comes while the clock keeps step with real time for a while.
"""

from __future__ import annotations

from pytest_concur.engine import outside, signals
from pytest_concur.explore.trial import Laboratory, Trial


def is_in_doubt(lab: Laboratory, trial: Trial) -> bool:
    """Whether what went wrong in a run may not go wrong if the outside is given time."""
    record = trial.record
    if lab.in_step_s:
        return False
    is_endless = record.ending == "livelock" or (record.ending in ("deadlock", "leak") and signals.are_handled())
    return record.has_run_ahead or is_endless


def patience_s(lab: Laboratory) -> float:
    """Return the seconds for which clocks are to keep step, where that is in question."""
    has_signs = lab.settings.foreign_threads(()) or outside.has_signs()
    return outside.PATIENCE_S if has_signs else outside.SIGNLESS_PATIENCE_S
