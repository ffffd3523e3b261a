"""Where the guard's numbers come from."""
