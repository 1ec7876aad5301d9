"""A handler that asks a database and does not wait for ever: 500 when the deadline passes, 200 with JSON otherwise.

SQLite by default, PostgreSQL if ``CONCUR_EXAMPLES_DATABASE_URL`` names one (and psycopg is installed).
"""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any, Protocol

URL = "CONCUR_EXAMPLES_DATABASE_URL"
DEADLINE_S = 5.0
STEPS_BETWEEN_LOOKS = 1_000
"""SQLite's virtual machine instructions between two looks at the clock."""


class DeadlineExceeded(Exception):
    """The database did not answer in time."""


class Database(Protocol):
    def query(self, sql: str, timeout_s: float) -> list[tuple[Any, ...]]:
        """Return all rows.

        Raises:
            DeadlineExceeded: they did not come in time; the query was given up.
        """


class SQLite:
    def __init__(self, path: str = ":memory:") -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False)

    def query(self, sql: str, timeout_s: float) -> list[tuple[Any, ...]]:
        end = time.monotonic() + timeout_s
        self._connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_BETWEEN_LOOKS)
        try:
            return self._connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            raise DeadlineExceeded(f"no answer within {timeout_s:g} s") from error
        finally:
            self._connection.set_progress_handler(None, 0)


class PostgreSQL:
    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url, autocommit=True)
        self._canceled = psycopg.errors.QueryCanceled

    def query(self, sql: str, timeout_s: float) -> list[tuple[Any, ...]]:
        self._connection.execute(f"SET statement_timeout = {round(1000 * timeout_s)}")
        try:
            return self._connection.execute(sql).fetchall()
        except self._canceled as error:
            raise DeadlineExceeded(f"no answer within {timeout_s:g} s") from error


def connect() -> Database:
    url = os.environ.get(URL)
    return PostgreSQL(url) if url else SQLite()


class Orders:
    """Answers with the rows of one query."""

    def __init__(self, database: Database, sql: str, deadline_s: float = DEADLINE_S) -> None:
        self._database = database
        self._sql = sql
        self._deadline_s = deadline_s

    def handle(self, path: str) -> dict[str, Any]:
        return {"rows": self._database.query(self._sql, self._deadline_s)}
