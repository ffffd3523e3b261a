"""The terminal monitor: an app in one picture, with keys."""
