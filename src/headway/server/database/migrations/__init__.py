"""Alembic's migrations, in order; each one is run once, at start."""
