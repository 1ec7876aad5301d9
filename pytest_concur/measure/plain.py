"""Measuring outside a marked test: figures, and nobody judges them against anything stored."""

from __future__ import annotations

from typing import NoReturn

from pytest_concur.errors import BodyEnds
from pytest_concur.measure.comparison import Plan, compare
from pytest_concur.measure.load import summarize
from pytest_concur.measure.workload import Comparing, Loading
from pytest_concur.model.measurement import Comparison, Load


class PlainMeasuring:
    """Measures what a test asks for, once."""

    def __init__(self, seconds: float) -> None:
        """``seconds``: most wall time for the pairs of a comparison."""
        self._seconds = seconds

    def in_controlled_run(self) -> NoReturn:
        raise BodyEnds

    def compare(self, work: Comparing) -> Comparison:
        measured, _ = compare(
            work.sequential,
            work.concurrent,
            name=work.name or "compare",
            operations=work.operations,
            workers=work.workers,
            results=work.run_once(),
            plan=Plan(seed=0, seconds=self._seconds),
        )
        return measured

    def load(self, work: Loading) -> Load:
        return summarize(work.run(), name=work.name or "load", users=work.users, rate=work.rate)

    def note_more(self) -> None:
        pass
