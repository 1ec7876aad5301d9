"""Load: open loops see stalls that closed loops hide, figures come with their limits; scaling; lock waits."""

from __future__ import annotations

import signal
import threading
import time
from random import Random

import pytest

from pytest_concur.measure.load import closed_loop, open_loop, summarize
from pytest_concur.measure.scaling import fit, scalability


def stalling_handler():
    """Return a handler of 1 ms that stands still for the first 200 ms of each second after half a second."""
    begin = time.perf_counter() + 0.5

    def handle():
        phase = (time.perf_counter() - begin) % 1
        time.sleep(0.2 - phase if phase < 0.2 and time.perf_counter() > begin else 0.001)

    return handle


def test_coordinated_omission():
    """A stall of 200 ms a second: p99 of an open loop shows it, that of a closed loop with one user hardly."""
    handler = stalling_handler()
    opened = summarize(open_loop(handler, rate=400, seconds=2.0), name="open", rate=400)
    closed = summarize(closed_loop(stalling_handler(), users=1, seconds=2.0), name="closed", users=1)

    assert opened.p99 >= 0.150
    assert closed.p99 < 0.010
    assert closed.max > 0.1, "the stall was there"
    assert opened.late_starts == pytest.approx(0, abs=400)
    assert not opened.is_saturated
    assert next(each for each in opened.service if each.share == 0.5).interval.estimate < 0.05


def test_percentiles_need_samples():
    """What cannot be bounded is None, with what it would take."""
    result = summarize(open_loop(lambda: None, rate=500, seconds=0.2), name="few", rate=500)

    assert result.count == 100
    assert result.p50 is not None
    assert result.p95 is not None
    assert result.p99 is None
    assert [each.needed for each in result.percentiles if each.interval is None] == [368, 3688]


def test_saturation():
    """A generator that is asked for more than it can start says so."""
    result = summarize(open_loop(lambda: time.sleep(0.01), rate=400, seconds=0.5, in_flight=1), name="slow", rate=400)

    assert result.is_saturated
    assert result.p50 > 0.1, "latency counts from when a call was due"


def test_a_rate_beyond_reach_does_not_go_on_for_ever():
    """Ten million calls a second for a tenth of a second: not all of the million calls are made up for."""
    samples = open_loop(lambda: None, rate=1e7, seconds=0.1)

    assert 0 < len(samples.latencies) < 1_000_000
    assert summarize(samples, name="beyond", rate=1e7).is_saturated


def test_closed_loop_has_its_users():
    """So many calls at the same time, all samples kept."""
    lock, now, most = threading.Lock(), 0, 0

    def handle():
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1

    samples = closed_loop(handle, users=3, seconds=0.2)

    assert most == 3
    assert len(samples.latencies) == len(samples.starts) == len(samples.services) > 100
    assert all(each >= 0.002 for each in samples.latencies)
    assert sum(map(len, samples.windows())) == len(samples.latencies)


@pytest.mark.parametrize("how", [{"users": 2}, {"rate": 200}])
def test_errors_end_the_load(how):
    """What the handler raises comes out, soon."""
    loop = closed_loop if "users" in how else open_loop

    def handle():
        raise KeyError("missing")

    begin = time.perf_counter()
    with pytest.raises(KeyError, match="missing"):
        loop(handle, seconds=30, **how)
    assert time.perf_counter() - begin < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load ")]


@pytest.mark.parametrize("how", [{"users": 2}, {"rate": 200}])
def test_an_interrupted_load_ends(how):
    """Ctrl-C, or a time-out, in the thread that waits: no thread goes on calling."""
    loop = closed_loop if "users" in how else open_loop

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            loop(lambda: time.sleep(0.001), seconds=30, **how)
    finally:
        signal.signal(signal.SIGALRM, before)
    deadline = time.perf_counter() + 5
    while any(thread.name.startswith("load ") for thread in threading.enumerate()):  # one may be about to start
        assert time.perf_counter() < deadline
        time.sleep(0.01)


LEVELS = (1, 2, 3, 4, 6, 8, 12, 16)


def law(n, contention, coherency):
    return 1000 * n / (1 + contention * (n - 1) + coherency * n * (n - 1))


@pytest.mark.parametrize(("contention", "coherency"), [(0.1, 0.01), (0.0, 0.0), (0.3, 0.0), (0.0, 0.02), (0.05, 0.001)])
def test_fit_gives_the_law_back(contention, coherency):
    """Exact throughput gives the coefficients it was made with."""
    found = fit({n: law(n, contention, coherency) for n in LEVELS})

    assert found == pytest.approx((contention, coherency), abs=1e-9)


def test_fit_stays_on_the_right_side_of_zero():
    """Better than linear throughput is no negative contention."""
    assert fit({n: 1000 * n**1.1 for n in LEVELS}) == (0.0, 0.0)


def test_scalability_has_intervals():
    """At 2 % noise the intervals hold the truth and are narrow; with five levels nothing is claimed."""
    random = Random(2)
    rates = {n: [law(n, 0.1, 0.01) * random.gauss(1, 0.02) for _ in range(7)] for n in LEVELS}
    found = scalability(rates, Random(0))

    assert found.contention.low - 0.02 < 0.1 < found.contention.high + 0.02
    assert found.coherency.low - 0.002 < 0.01 < found.coherency.high + 0.002
    assert found.contention.high - found.contention.low < 0.08
    assert found.best_workers == pytest.approx((0.9 / 0.01) ** 0.5, rel=0.2)
    assert scalability({n: rates[n] for n in LEVELS[:5]}, Random(0)) is None
