"""Both tasks raise their flags and then spin until the other one lowers its own."""

import pytest


@pytest.mark.concurrency
def test_flag_flag(concur):
    wants = {"left": False, "right": False}
    entered = []

    def enter(me, other):
        wants[me] = True
        while wants[other]:
            pass
        entered.append(me)
        wants[me] = False

    concur.run(lambda: enter("left", "right"), lambda: enter("right", "left"))

    assert sorted(entered) == ["left", "right"]
