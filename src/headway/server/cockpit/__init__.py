"""The web cockpit."""
