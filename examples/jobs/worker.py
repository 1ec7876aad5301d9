"""A single-threaded worker: consume for ever, log an error and go on.

``python worker.py FOLDER QUEUE PAUSE`` runs one.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

from broker import Broker, BrokerGone

HEAVY = 300_000
"""Numbers to add up in heavy work: a few milliseconds."""

LOG = logging.getLogger("worker")


def process(job: dict[str, Any], results: Path) -> None:
    """Do a job: its result is a file of its own, so that doing it twice does no harm."""
    if job["work"] == "fail":
        raise ValueError(f"job {job['id']} cannot be done")
    if job["work"] == "heavy":
        sum(range(HEAVY))
    (results / job["id"]).write_text(str(job["number"] ** 2))


def run(broker: Broker, results: Path, *, until_idle_s: float = float("inf"), pause_s: float = 0.0) -> int:
    """Process jobs until none has come for so long; return how many were taken.

    Args:
        broker: Where jobs come from.
        results: Folder for results.
        until_idle_s: End after so long without a job.
        pause_s: Wait between receiving a job and processing it, for tests that kill the worker there.
    """
    taken, idle_since = 0, time.monotonic()
    while time.monotonic() - idle_since < until_idle_s:
        try:
            delivery = broker.receive(timeout_s=0.2)
        except BrokerGone as error:
            LOG.error("cannot receive: %s", error)
            time.sleep(0.05)
            continue
        if delivery is None:
            continue
        taken, idle_since = taken + 1, time.monotonic()
        time.sleep(pause_s)
        try:
            process(delivery.job, results)
        except Exception:
            LOG.exception("job failed, going on")
        try:
            delivery.acknowledge()
        except BrokerGone as error:
            LOG.error("cannot acknowledge, the job will come again: %s", error)
    return taken


if __name__ == "__main__":
    here, name, pause_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    run(Broker(here, name), here / "results", pause_s=pause_s)
