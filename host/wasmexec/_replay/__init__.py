"""Executions that can be repeated: virtual clock and seed, recordings, playback, comparison."""
