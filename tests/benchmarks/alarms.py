"""How often measuring alarms falsely, and how much slower code must be to be noticed, beside other tools' rules.

    python tests/benchmarks/alarms.py record FILE [--sessions 30] [--only NAME]
    python tests/benchmarks/alarms.py judge FILE
    python tests/benchmarks/alarms.py cost FILE

``record`` measures the ten workloads of ``workloads.py`` in so many fresh processes, once more for the baselines, half
of them with two processes beside that compute in bursts. All rounds are kept. ``judge`` asks each rule about the same
rounds: is a session slower than the baseline? Nothing was changed, so each yes is a false alarm. Then the concurrent
rounds are multiplied, as slower code would do, and each no is a miss. ``cost`` times an unchanged test.

What looks bad is measured again: the sessions that follow in time stand for that, as long as they are of the same kind,
quiet or busy. The rules of the others see one baseline session and one session of today, as they do in use:

- ``mean > 5 %``: pytest-benchmark with ``--benchmark-compare-fail=mean:5%``;
- ``Mann-Whitney``: benchstat's and pyperf's kind of test, p < 0.05, by scipy;
- ``Criterion``: the 95 % bootstrap interval of the change of the mean lies above its noise threshold of 1 %.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workloads import WORKLOADS

from pytest_concur.measure import judge, machine
from pytest_concur.measure.comparison import NORMAL_PAIRS, Plan, compare
from pytest_concur.measure.rounds import Rounds, measure

BASELINE_SESSIONS = 5
FACTORS = (1.0, 1.2, 1.3, 1.5, 2.0)
MAX_REGRESSION = 0.15
KEPT = ("sequential", "concurrent", "calibration", "cores", "sequential_processor", "concurrent_processor")

BURNER = """
import random, time
while True:
    end = time.perf_counter() + random.uniform(0.02, 0.4)
    while time.perf_counter() < end:
        pass
    time.sleep(random.uniform(0.02, 0.4))
"""


# ---- recording ----


def record_session(names: Sequence[str]) -> dict[str, Any]:
    """Measure each workload once, as a baseline session does."""
    found = {}
    for name in names:
        workload = WORKLOADS[name]
        begin = time.perf_counter()
        rounds = measure(
            workload.sequential,
            workload.concurrent,
            random=random.Random(name),
            is_enough=lambda rounds: rounds.pairs >= NORMAL_PAIRS,
            seconds=10,
        )
        found[name] = {each: getattr(rounds, each) for each in KEPT} | {"seconds": time.perf_counter() - begin}
    return found


def record(path: Path, sessions: int, names: Sequence[str]) -> None:
    """Write one line for each session: its kind and what it measured."""
    kinds = ["baseline"] * BASELINE_SESSIONS + ["quiet"] * (sessions // 2) + ["busy"] * (sessions - sessions // 2)
    with path.open("w", encoding="utf-8") as file:
        for number, kind in enumerate(kinds):
            burners = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(2 if kind == "busy" else 0)]
            try:
                done = subprocess.run(
                    [sys.executable, __file__, "session", *names], capture_output=True, text=True, check=True
                )
            finally:
                for burner in burners:
                    burner.kill()
                    burner.wait()
            file.write(json.dumps({"kind": kind, "measured": json.loads(done.stdout)}) + "\n")
            file.flush()
            print(f"session {number + 1} of {len(kinds)}: {kind}", file=sys.stderr, flush=True)


# ---- rules ----


def as_rounds(stored: dict[str, Any], factor: float = 1.0) -> Rounds:
    rounds = Rounds(**{each: stored[each] for each in KEPT})
    rounds.concurrent = [factor * each for each in rounds.concurrent]
    return rounds


Rule = Callable[[list[dict[str, Any]], list[dict[str, Any]], int, float], str]
"""Baseline sessions, sessions of today, the one in question, the factor -> ``alarm``, ``inconclusive`` or empty."""


def ours(baseline: list[dict[str, Any]], today: list[dict[str, Any]], place: int, factor: float) -> str:
    """Slower in this session and, measured again, in the two that follow; not where cores were lost."""
    stored = [judge.session_of(as_rounds(each), 1) for each in baseline]
    for offset in range(3):
        session = judge.session_of(as_rounds(today[(place + offset) % len(today)], factor), 1)
        shift = judge.shift(session, stored, least_effect=MAX_REGRESSION)
        if not shift.is_slower(again=offset > 0):
            return ""
        if shift.has_lost_cores():
            return "inconclusive"
    return "alarm"


def mean_rule(baseline: list[dict[str, Any]], today: list[dict[str, Any]], place: int, factor: float) -> str:
    then, now = baseline[place % len(baseline)]["concurrent"], today[place]["concurrent"]
    return "alarm" if factor * statistics.fmean(now) > 1.05 * statistics.fmean(then) else ""


def mann_whitney(baseline: list[dict[str, Any]], today: list[dict[str, Any]], place: int, factor: float) -> str:
    from scipy import stats

    then, now = baseline[place % len(baseline)]["concurrent"], today[place]["concurrent"]
    slower = [factor * each for each in now]
    is_different = stats.mannwhitneyu(slower, then).pvalue < 0.05
    return "alarm" if is_different and statistics.median(slower) > statistics.median(then) else ""


def criterion(baseline: list[dict[str, Any]], today: list[dict[str, Any]], place: int, factor: float) -> str:
    then, now = baseline[place % len(baseline)]["concurrent"], today[place]["concurrent"]
    chance = random.Random(place)
    changes = sorted(
        factor * statistics.fmean(chance.choices(now, k=len(now))) / statistics.fmean(chance.choices(then, k=len(then)))
        for _ in range(400)
    )
    return "alarm" if changes[10] > 1.01 else ""


RULES: dict[str, Rule] = {
    "ours": ours,
    "mean > 5 %": mean_rule,
    "Mann-Whitney": mann_whitney,
    "Criterion": criterion,
}


# ---- judging ----


def report(path: Path) -> None:
    """Print the tables."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = list(lines[0]["measured"])
    by_kind = {
        kind: {name: [line["measured"][name] for line in lines if line["kind"] == kind] for name in names}
        for kind in ("baseline", "quiet", "busy")
    }
    sessions = sum(len(each) for kind in ("quiet", "busy") for each in by_kind[kind].values())
    print(f"{len(names)} workloads, {sessions} sessions compared with {BASELINE_SESSIONS} quiet ones each\n")
    print(
        f"{'alarms, %':<16}" + "".join(f"{kind + ' ' + _change(f):>14}" for kind in ("quiet", "busy") for f in FACTORS)
    )
    for label, rule in RULES.items():
        cells = []
        for kind in ("quiet", "busy"):
            for factor in FACTORS:
                verdicts = [
                    rule(by_kind["baseline"][name], by_kind[kind][name], place, factor)
                    for name in names
                    for place in range(len(by_kind[kind][name]))
                ]
                alarms, unsure = verdicts.count("alarm"), verdicts.count("inconclusive")
                shown = f"{100 * alarms / len(verdicts):.1f}" + (
                    f" [{100 * unsure / len(verdicts):.0f}]" if unsure else ""
                )
                cells.append(f"{shown:>14}")
        print(f"{label:<16}" + "".join(cells))
    print("[inconclusive]; the columns of 0 % are false alarms, the others are what is noticed\n")
    false = sum(
        ours(by_kind["baseline"][name], by_kind[kind][name], place, 1.0) == "alarm"
        for kind in ("quiet", "busy")
        for name in names
        for place in range(len(by_kind[kind][name]))
    )
    bound = 1 - 0.05 ** (1 / sessions) if false == 0 else math.nan
    print(f"false alarms: {false} of {sessions}; at most {100 * bound:.1f} % (95 %) if sessions were independent")
    _report_workloads(by_kind, names)
    _report_verdicts(by_kind, names)


def _report_workloads(by_kind: dict[str, Any], names: Sequence[str]) -> None:
    print(
        f"\n{'ours, by workload: noticed, %':<32}"
        + "".join(f"{kind + ' ' + _change(f):>14}" for kind in ("quiet", "busy") for f in FACTORS)
    )
    for name in names:
        cells = []
        for kind in ("quiet", "busy"):
            for factor in FACTORS:
                today = by_kind[kind][name]
                verdicts = [ours(by_kind["baseline"][name], today, place, factor) for place in range(len(today))]
                cells.append(f"{100 * verdicts.count('alarm') / len(verdicts):>14.0f}")
        print(f"{name:<32}" + "".join(cells))


def _report_verdicts(by_kind: dict[str, Any], names: Sequence[str]) -> None:
    """Within a run: what each session says; wrong is what contradicts the middle of the quiet sessions."""
    cores = machine.effective_cores()
    print(f"\n{'verdicts within a run':<24}{'quiet speedup':>16}   quiet; busy")
    wrong = 0
    for name in names:
        truth = statistics.median(
            judge.speedup(as_rounds(each)).estimate for each in (*by_kind["baseline"][name], *by_kind["quiet"][name])
        )
        texts = []
        for kind in ("quiet", "busy"):
            verdicts = [
                judge.verdict(rounds, judge.speedup(rounds), cores) for rounds in map(as_rounds, by_kind[kind][name])
            ]
            wrong += verdicts.count("pays") * (truth < 1) + verdicts.count("premature") * (truth > 1)
            texts.append(", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)))
        print(f"{name:<24}{truth:>15.2f}x   {'; '.join(texts)}")
    print(f"wrong pays or premature: {wrong}")


def cost(path: Path) -> None:
    """Measure unchanged workloads against their baselines, as a test does, and print the seconds that takes."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    seconds, pairs = [], []
    for name in lines[0]["measured"]:
        baseline = [line["measured"][name] for line in lines if line["kind"] == "baseline"]
        stored = [judge.session_of(as_rounds(each), 1) for each in baseline]

        def may_be_slower(rounds: Rounds, stored: list[dict[str, Any]] = stored) -> bool:
            today = judge.session_of(rounds, 1)
            return judge.shift(today, stored, least_effect=MAX_REGRESSION).may_be_slower()

        begin = time.perf_counter()
        result, _ = compare(
            *WORKLOADS[name],
            name=name,
            operations=1,
            workers=(),
            results=(None, None),
            plan=Plan(seed=0, seconds=3.0, may_be_slower=may_be_slower),
        )
        seconds.append(time.perf_counter() - begin)
        pairs.append(result.pairs)
        print(f"{name:<24}{seconds[-1]:>6.2f} s, {result.pairs:>3} pairs, {result.verdict}")
    cores = machine.effective_cores()
    begin = time.perf_counter()
    for _ in range(50):
        machine.calibrate()
        machine.probe_parallelism(cores)
    probes = (time.perf_counter() - begin) / 50
    print(
        f"median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s; median pairs {statistics.median(pairs)}"
    )
    print(f"calibration and probe take {1e3 * probes:.1f} ms of each pair of two rounds of at least 10 ms")


def _change(factor: float) -> str:
    return f"+{100 * (factor - 1):.0f} %" if factor > 1 else "0 %"


def main() -> None:
    """Read the command line."""
    if sys.argv[1:2] == ["session"]:
        print(json.dumps(record_session(sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["record", "judge", "cost"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--only", action="append", choices=list(WORKLOADS))
    given = parser.parse_args()
    if given.command == "record":
        record(given.file, given.sessions, given.only or list(WORKLOADS))
    elif given.command == "judge":
        report(given.file)
    else:
        cost(given.file)


if __name__ == "__main__":
    main()
