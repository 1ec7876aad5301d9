"""Requests become jobs in a queue outside the process, and no accepted job is lost, whatever goes away meanwhile."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("kombu", reason="the queue needs the extra: pip install 'pytest-concur[examples]'")
import worker
from broker import Broker
from front import Front

HERE = Path(__file__).parent
CONTROL = "CONCUR_EXAMPLES_BROKER_CONTROL"
AGAIN_S = 30.0
"""What has not come again after so long without any other is lost."""


@pytest.fixture
def broker(tmp_path):
    (tmp_path / "results").mkdir()
    made = Broker(tmp_path, name=f"jobs-{random.getrandbits(40):x}")
    yield made
    made.close()


def send(front, number, work="square"):
    return front.take(json.dumps({"work": work, "number": number}).encode())


def work_off(broker, tmp_path):
    return worker.run(broker, tmp_path / "results", until_idle_s=0.6)


def work_off_what_comes_again(broker, tmp_path, accepted):
    """Until all is done: what a worker that is gone had received is delivered again, after a while."""
    done, since = 0, time.monotonic()
    while not set(accepted) <= set(results(tmp_path)) and time.monotonic() < since + AGAIN_S:
        work_off(broker, tmp_path)
        if len(results(tmp_path)) > done:
            done, since = len(results(tmp_path)), time.monotonic()


def results(tmp_path):
    return {path.name: path.read_text() for path in (tmp_path / "results").iterdir()}


def test_a_request_is_accepted_and_done_later(broker, tmp_path):
    status, answer = send(Front(broker), 7)
    assert status == "202 Accepted"
    assert results(tmp_path) == {}

    assert work_off(broker, tmp_path) == 1
    assert results(tmp_path) == {answer["id"]: "49"}


def test_a_failing_job_is_logged_and_the_worker_goes_on(broker, tmp_path, caplog):
    front = Front(broker)
    accepted = [send(front, n, work)[1]["id"] for n, work in [(1, "square"), (2, "fail"), (3, "square")]]

    assert work_off(broker, tmp_path) == 3
    assert results(tmp_path) == {accepted[0]: "1", accepted[2]: "9"}
    assert "job failed, going on" in caplog.text


def test_the_broker_goes_away_and_comes_back(broker, tmp_path, caplog):
    if not broker.keeps_files:
        pytest.skip("takes the folder away")
    front = Front(broker)
    first = send(front, 1)
    (tmp_path / "waiting").rename(tmp_path / "away")

    assert send(front, 2)[0] == "500 Internal Server Error"
    assert worker.run(broker, tmp_path / "results", until_idle_s=0.2) == 0
    assert "cannot receive" in caplog.text

    (tmp_path / "away").rename(tmp_path / "waiting")
    second = send(front, 3)
    assert work_off(broker, tmp_path) == 2
    assert results(tmp_path) == {first[1]["id"]: "1", second[1]["id"]: "9"}


def control(word):
    """Stop or start the broker, with the user's command for that."""
    subprocess.run([*shlex.split(os.environ[CONTROL]), word], check=True, timeout=60)


@pytest.mark.skipif(CONTROL not in os.environ, reason=f"{CONTROL}: a command that takes stop and start")
def test_no_accepted_job_is_lost_when_the_broker_is_restarted(broker, tmp_path):
    """Requests go on, and a worker works, while the broker is stopped and started: refused is refused, 202 is done."""
    answers, ends = [], threading.Event()

    def publish():
        front = Front(broker)
        while not ends.wait(0.01):
            answers.append(send(front, len(answers)))

    publishing = threading.Thread(target=publish)
    publishing.start()
    command = [sys.executable, str(HERE / "worker.py"), str(tmp_path), broker.name, "0"]
    with subprocess.Popen(command) as process:
        try:
            for word in ("stop", "start"):
                time.sleep(1.0)
                control(word)
            time.sleep(2.0)
            ends.set()
            publishing.join()
            accepted = [answer["id"] for status, answer in answers if status == "202 Accepted"]
            work_off_what_comes_again(broker, tmp_path, accepted)
        finally:
            ends.set()
            process.kill()  # not before all is done: only the broker was away
    refused = [status for status, _ in answers if status == "500 Internal Server Error"]
    assert len(accepted) > 50
    assert len(refused) > 0
    assert len(accepted) + len(refused) == len(answers)
    assert len(set(accepted) - set(results(tmp_path))) <= (1 if broker.has_gap else 0)


def test_no_accepted_job_is_lost_when_workers_are_killed(broker, tmp_path):
    """Forty jobs, a worker that is killed between receiving and acknowledging again and again."""
    front = Front(broker)
    accepted = [send(front, number)[1]["id"] for number in range(40)]

    chance, put_back = random.Random(3), 0
    for _ in range(4):
        command = [sys.executable, str(HERE / "worker.py"), str(tmp_path), broker.name, "0.2"]
        process = subprocess.Popen(command)
        time.sleep(0.9 + 0.3 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        put_back += broker.recover()
    assert len(results(tmp_path)) < len(accepted), "there is work left"
    work_off_what_comes_again(broker, tmp_path, accepted)

    done = set(results(tmp_path))
    assert done <= set(accepted)
    assert len(accepted) - len(done) <= (4 if broker.has_gap else 0)  # one for each worker killed
    if broker.keeps_files:
        assert put_back > 0, "a job was on its way when its worker was killed"
        assert not list((tmp_path / "received").iterdir())
