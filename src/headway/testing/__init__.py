"""Fakes that the tests use, shipped for users' tests."""
