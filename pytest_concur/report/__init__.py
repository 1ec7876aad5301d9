"""Results made readable: pure functions of data."""
