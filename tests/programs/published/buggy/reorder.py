"""A pair of values is set without a lock, so a checker can see the one set and the other not."""

import pytest


class Pair:
    a = 0
    b = 0


@pytest.mark.concurrency
@pytest.mark.parametrize(
    ("setters", "checkers"),
    [(2, 1), (3, 1), (4, 1), (9, 1), (10, 10), (40, 10), (99, 1)],
    ids=["reorder_3", "reorder_4", "reorder_5", "reorder_10", "reorder_20", "reorder_50", "reorder_100"],
)
def test_reorder(concur, setters, checkers):
    pair = Pair()

    def is_whole():
        return (pair.a == 0 and pair.b == 0) or (pair.a == 1 and pair.b == -1)

    def set_both():
        pair.a = 1
        pair.b = -1

    def check():
        assert is_whole()

    concur.run(*[set_both] * setters, *[check] * checkers)
