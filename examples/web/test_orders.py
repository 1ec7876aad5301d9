"""A database that answers, one that is too slow, one that fails: 200, 500, 500, and the next request is served."""

from __future__ import annotations

import json
import time

import orders
import pytest
import services

QUICK = "SELECT 1, 'apple'"
SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT count(*) FROM n"
WRONG = "SELECT * FROM nothing"


def get(database, sql, deadline_s):
    seen = []
    body = services.application(orders.Orders(database, sql, deadline_s))(
        {"PATH_INFO": "/"}, lambda status, headers: seen.append(status)
    )
    return seen[0], b"".join(body).decode()


@pytest.mark.concurrency
def test_an_answer_in_time():
    status, body = get(orders.connect(), QUICK, 5.0)
    assert status == "200 OK"
    assert json.loads(body) == {"rows": [[1, "apple"]]}


def test_a_query_beyond_its_deadline_is_given_up():
    database = orders.connect()
    begin = time.monotonic()
    status, body = get(database, SLOW, 0.2)
    assert status == "500 Internal Server Error"
    assert "no answer within 0.2 s" in body
    assert time.monotonic() - begin < 3
    assert get(database, QUICK, 5.0)[0] == "200 OK", "the next request is served"


def test_a_failing_query():
    status, body = get(orders.connect(), WRONG, 5.0)
    assert status == "500 Internal Server Error"
    assert "nothing" in body
