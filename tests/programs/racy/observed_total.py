"""No assertion fails, yet an unlocked addition makes the observed total one that no order of the tasks gives."""

import pytest


@pytest.mark.concurrency
def test_observed_total(concur):
    account = {"total": 0}

    def add(amount):
        account["total"] += amount

    concur.run(lambda: add(1), lambda: add(2))
    concur.observe(total=account["total"])
