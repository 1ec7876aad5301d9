"""Beside the modules that several folders use, so that pytest finds them."""
