"""Each of two polite tasks spins until the other one has gone first."""

import pytest


class Person:
    gone = False


@pytest.mark.concurrency
def test_after_you(concur):
    ann, bob = Person(), Person()

    def go(me, other):
        while not other.gone:
            pass
        me.gone = True

    concur.run(lambda: go(ann, bob), lambda: go(bob, ann))

    assert ann.gone
    assert bob.gone
