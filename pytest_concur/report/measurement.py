"""What is said about a measurement: one line for the summary, a message for a finding, an entry for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pytest_concur.model.measurement import Arm, Comparison, Interval, Load, Measured, Percentile


def line(measured: Measured) -> str:
    """Return the summary of one measurement."""
    result = measured.result
    head = _comparison_line(result) if isinstance(result, Comparison) else _load_line(result)
    against = measured.against
    tail = f"; baseline: {against.status}, {against.detail}" if against.status != "none" else ""
    return f"{result.name}: {head}{tail}"


def _comparison_line(result: Comparison) -> str:
    why = f"; {result.explanation}" if result.explanation else ""
    best = ""
    if result.curve:
        top = max(result.curve, key=lambda level: level.throughput)
        best = f" with {top.workers} workers ({', '.join(f'{e.workers}: {e.speedup:.2f}x' for e in result.curve)})"
        if (law := result.scalability) is not None:
            best += (
                f"; contention {_short(law.contention)}, coherency {_short(law.coherency)}"
                f", best with {law.best_workers:.0f} workers" * math.isfinite(law.best_workers)
            )
    return f"{result.verdict}: {speedup_text(result.speedup)}{best}{why}"


def speedup_text(speedup: Interval) -> str:
    """Return ``2.1x faster than sequential (2.0-2.2)``, or slower."""
    if speedup.estimate >= 1:
        return f"{speedup.estimate:.2f}x faster than sequential ({_range(speedup.low, speedup.high)})"
    slower = 1 / speedup.estimate
    return f"{slower:.2f}x slower than sequential ({_range(1 / speedup.high, _inverse(speedup.low))})"


def _load_line(result: Load) -> str:
    kind = "latency" if result.model == "open" else "service time"
    shown = ", ".join(_percentile(each) for each in result.percentiles)
    notes = ""
    if result.asked_rate is not None:
        notes = f"; {result.late_starts} late starts"
        service = next(each for each in result.service if each.share == 0.99)
        if service.interval is not None:
            notes += f"; p99 of service time alone {_time(service.interval.estimate)}"
        if result.is_saturated:
            notes += f"; generator saturated: {result.asked_rate:g}/s were asked for"
    return f"{result.throughput:,.0f}/s, {kind} {shown}, max {_time(result.longest)}{notes}"


def _percentile(each: Percentile) -> str:
    name = f"p{100 * each.share:g}"
    if each.interval is None:
        return f"{name} n/a (needs >= {each.needed} calls)"
    return f"{name} {_time(each.interval.estimate)}"


def as_dict(measured: Measured) -> dict[str, Any]:
    """Return one measurement's entry of the JSON report."""
    result, against = measured.result, measured.against
    entry: dict[str, Any] = {
        "name": result.name,
        "summary": line(measured),
        "baseline": {"status": against.status, "detail": against.detail or None},
        "notes": list(measured.notes),
    }
    if isinstance(result, Load):
        return entry | {"kind": "load", "verdict": None, "load": _load_dict(result)}
    return entry | {
        "kind": "compare",
        "verdict": result.verdict,
        "operations": result.operations,
        "sequential": _arm_dict(result.sequential),
        "concurrent": _arm_dict(result.concurrent),
        "speedup": _interval_dict(result.speedup),
        "pairs": result.pairs,
        "cores": _interval_dict(result.cores),
        "explanation": result.explanation or None,
        "lock_wait": result.lock_wait,
        "contention": [{"lock": each.lock, "share": each.share} for each in result.contention],
        "curve": [
            {"workers": each.workers, "throughput": each.throughput, "speedup": each.speedup} for each in result.curve
        ],
        "scalability": None
        if result.scalability is None
        else {
            "contention": _interval_dict(result.scalability.contention),
            "coherency": _interval_dict(result.scalability.coherency),
        },
    }


def _load_dict(result: Load) -> dict[str, Any]:
    return {
        "model": result.model,
        "users": result.users,
        "rate": result.asked_rate,
        "throughput": result.throughput,
        "calls": result.count,
        "latency_seconds": _ladder(result.percentiles),
        "service_seconds": _ladder(result.service) if result.service else None,
        "max_seconds": result.longest,
        "late_starts": result.late_starts,
        "saturated": result.is_saturated,
    }


def _ladder(percentiles: tuple[Percentile, ...]) -> Mapping[str, Any]:
    return {
        f"p{100 * each.share:g}": None if each.interval is None else _interval_dict(each.interval)
        for each in percentiles
    }


def _arm_dict(arm: Arm) -> dict[str, float]:
    return {
        "throughput": arm.throughput,
        "seconds_per_call": arm.call.median,
        "fastest_seconds_per_call": arm.call.fastest,
        "processor_seconds_per_operation": arm.processor,
        "busy_cores": arm.busy,
    }


def _interval_dict(interval: Interval) -> dict[str, float | None]:
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high if math.isfinite(interval.high) else None,
    }


def _short(interval: Interval) -> str:
    return f"{interval.estimate:.3f} ({interval.low:.3f}-{interval.high:.3f})"


def _range(low: float, high: float) -> str:
    return f"{low:.2f}-{high:.2f}" if math.isfinite(high) else f"more than {low:.2f}"


def _inverse(value: float) -> float:
    return 1 / value if value > 0 else math.inf


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1e3 * seconds:.1f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} µs"
