"""Measuring: does concurrency pay, and did it get worse? Numbers in, verdicts out; no pytest here."""
