"""Turns metrics into verdicts."""
