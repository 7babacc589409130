"""Runs from their acceptance to their end, and the worker processes that they run in."""
