"""The whole of it over HTTP: a balancer, single-threaded instances, a queue, single-threaded workers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("kombu", reason="the queue needs the extra: pip install 'pytest-concur[examples]'")
pytest.importorskip("urllib3", reason="real servers need the extra: pip install 'pytest-concur[examples]'")
import front
import serving

HERE = Path(__file__).parent
WORKERS = 2
DONE_S = 60.0


@pytest.fixture
def workers(tmp_path, monkeypatch):
    """Workers of a queue of their own, and where they and the instances find it."""
    (tmp_path / "results").mkdir()
    name = f"jobs-{random.getrandbits(40):x}"
    monkeypatch.setenv(front.FOLDER, str(tmp_path))
    monkeypatch.setenv(front.QUEUE, name)
    with ExitStack() as stack:
        for _ in range(WORKERS):
            command = [sys.executable, str(HERE / "worker.py"), str(tmp_path), name, "0"]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        yield


@pytest.mark.parametrize("application", ["in_line", "queueing"])
def test_heavy_work_under_load(concur, workers, tmp_path, record_property, application):
    """What was answered with 200 is done, and what was answered with 202 is done soon."""
    accepted = []

    def request():
        answer = client.post("/", json.dumps({"work": "heavy", "number": 7}).encode())
        assert answer.status == (200 if application == "in_line" else 202)
        accepted.append(answer.json()["id"])

    def left():
        return set(accepted) - {path.name for path in (tmp_path / "results").iterdir()}

    with serving.serve(f"front:{application}()", HERE, kind="single-threaded", instances=4) as client:
        load = concur.load(request, users=8, seconds=1.0)
    begin = time.monotonic()
    while left() and time.monotonic() < begin + DONE_S:
        time.sleep(0.05)

    assert not left()
    assert len(accepted) >= load.count > 20
    record_property(
        "seen",
        f"{load.throughput:.0f}/s, p50 {1e3 * load.p50:.0f} ms, max {1e3 * load.max:.0f} ms; "
        f"all {len(accepted)} done {time.monotonic() - begin:.1f} s after the last answer",
    )
