"""Answers that go on: the log and the states of live runs, and batches."""
