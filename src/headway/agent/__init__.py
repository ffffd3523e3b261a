"""One process per node: watch, fetch, prepare, drain, switch, restart, verify, report."""
