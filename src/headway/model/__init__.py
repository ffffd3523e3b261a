"""Frozen values that everything else speaks in; no behaviour beyond their own invariants."""
