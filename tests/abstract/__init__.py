"""Tiny concurrent programs, the machine that knows all their outcomes, and their translation into real Python."""
