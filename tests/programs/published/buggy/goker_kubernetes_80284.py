"""Two threads set the callback that rotates certificates, and the dialer of the first is never told."""

import pytest


class Dialer:
    def __init__(self):
        self.closed = False

    def close_all(self):
        self.closed = True


class Config:
    dialer = None


class Authenticator:
    def __init__(self):
        self.dialer = None
        self.on_rotate = None

    def update_transport_config(self, config):
        if self.on_rotate is None:
            self.dialer = Dialer()
            self.on_rotate = self.dialer.close_all
        config.dialer = self.dialer


@pytest.mark.concurrency
def test_goker_kubernetes_80284(concur):
    authenticator = Authenticator()
    configs = [Config(), Config()]

    concur.run(
        lambda: authenticator.update_transport_config(configs[0]),
        lambda: authenticator.update_transport_config(configs[1]),
    )
    authenticator.on_rotate()

    assert [config.dialer.closed for config in configs] == [True, True]
