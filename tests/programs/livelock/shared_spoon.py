"""Two hungry diners hand the only spoon to each other for ever."""

import pytest


class Spoon:
    owner = "ann"


@pytest.mark.concurrency
def test_shared_spoon(concur):
    spoon, hungry = Spoon(), {"ann": True, "bob": True}

    def dine(me, other):
        while hungry[me]:
            if spoon.owner == me:
                if hungry[other]:
                    spoon.owner = other
                else:
                    hungry[me] = False

    concur.run(lambda: dine("ann", "bob"), lambda: dine("bob", "ann"))
