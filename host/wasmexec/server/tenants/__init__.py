"""Tenants and their keys: who asks, and what may be asked."""
