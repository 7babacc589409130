"""Secrets out of texts; the guest has the very same modules."""
