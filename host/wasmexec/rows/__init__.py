"""Rows on their way in and out: JSON text and the formats of files."""
