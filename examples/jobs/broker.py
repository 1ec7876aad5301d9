"""A queue of jobs outside the process, through kombu: a folder by default, RabbitMQ or Redis by URL.

``CONCUR_EXAMPLES_BROKER_URL`` names another broker, such as ``amqp://localhost`` or ``redis://localhost``.

RabbitMQ and Redis deliver again what was received and not acknowledged. Kombu's folder transport does not, so here a
received message is kept aside until it is acknowledged, and :meth:`Broker.recover` puts back what a worker that died
has left there. So nobody loses a job, but for one gap: kombu takes it from Redis' list before it notes it as received,
and whoever goes away in between, the worker or Redis, takes it along (kombu issue 305). For jobs that must not be lost,
RabbitMQ is the better choice.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kombu
from kombu.exceptions import OperationalError

URL = "CONCUR_EXAMPLES_BROKER_URL"


class BrokerGone(Exception):
    """The broker cannot be reached, or does not take the message."""


@dataclass(frozen=True)
class Delivery:
    """A job that was received, until it is acknowledged."""

    job: dict[str, Any]
    acknowledge: Callable[[], None]
    """Raises :class:`BrokerGone` if the broker cannot be told: then it delivers the job again."""


class Broker:
    """One queue of jobs."""

    def __init__(self, folder: Path, name: str = "jobs") -> None:
        """``folder``: where messages lie if no other broker is named; it must exist."""
        self._waiting, self._received = folder / "waiting", folder / "received"
        url = os.environ.get(URL, "filesystem://")
        self.keeps_files = url.startswith("filesystem")
        self.has_gap = url.startswith("redis")
        """A job may be lost where the worker or the broker goes away."""

        if self.keeps_files:
            for each in (self._waiting, self._received):
                each.mkdir(exist_ok=True)
        self._connection = kombu.Connection(
            url,
            transport_options={
                "data_folder_in": str(self._waiting),
                "data_folder_out": str(self._waiting),
                "store_processed": True,
                "processed_folder": str(self._received),
                "control_folder": str(folder / "control"),
            }
            if self.keeps_files
            else {
                # Redis: deliver again what nobody has acknowledged, also if who saw to that was killed
                "visibility_timeout": 2,
                "unacked_mutex_expire": 2,
                "confirm_publish": True,  # RabbitMQ: a job is accepted when the broker says so
            },
            connect_timeout=2,
        )
        self._gone = (OperationalError, OSError, *self._connection.recoverable_connection_errors)
        self.name = name
        self._receiving: Any = None

    def publish(self, job: dict[str, Any]) -> None:
        """Hand a job over; it is the broker's when this returns.

        Raises:
            BrokerGone: it did not take it.
        """
        if self.keeps_files and not self._waiting.is_dir():
            raise BrokerGone(f"{self._waiting} is gone")
        try:
            with self._connection.SimpleQueue(self.name) as waiting:
                waiting.put(job)
        except self._gone as error:
            self._drop()
            raise BrokerGone(str(error)) from error

    def receive(self, timeout_s: float) -> Delivery | None:
        """Wait for a job; ``None`` if there was none in time.

        Raises:
            BrokerGone: the broker cannot be reached.
        """
        if self.keeps_files and not self._waiting.is_dir():
            raise BrokerGone(f"{self._waiting} is gone")
        try:
            if self._receiving is None:
                self._receiving = self._connection.SimpleQueue(self.name)
                self._receiving.consumer.qos(prefetch_count=1)  # others may have the next one
            message = self._receiving.get(timeout=timeout_s)
        except queue.Empty:
            return None
        except self._gone as error:
            self._drop()
            raise BrokerGone(str(error)) from error
        job = message.payload

        def acknowledge() -> None:
            try:
                message.ack()
            except self._gone as error:
                self._drop()
                raise BrokerGone(str(error)) from error
            if self.keeps_files:
                self._forget(job["id"])

        return Delivery(job, acknowledge)

    def recover(self) -> int:
        """Put back what was received and never acknowledged; return how many. Only while no worker runs."""
        if not self.keeps_files:
            return 0  # the broker does that
        left = list(self._received.iterdir())
        for path in left:
            shutil.move(path, self._waiting / path.name)
        return len(left)

    def close(self) -> None:
        self._connection.release()

    def _drop(self) -> None:
        """The broker is gone, and with it the connection: the next call makes another."""
        self._receiving = None
        self._connection.close()

    def _forget(self, identity: str) -> None:
        for path in self._received.iterdir():
            if _job_in(path)["id"] == identity:
                path.unlink()


def _job_in(path: Path) -> dict[str, Any]:
    """Read a message file of kombu's folder transport."""
    envelope = json.loads(path.read_text(encoding="utf-8"))
    body: dict[str, Any] = json.loads(base64.b64decode(envelope["body"]))
    return body
