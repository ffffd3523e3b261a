"""Tells people, where they are."""
