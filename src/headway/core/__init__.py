"""What decides: pure functions of (state, event, now). No I/O, no clock, no randomness."""
