"""One test from marker to verdict: the only rooms, beside the plugin itself, that know pytest."""
