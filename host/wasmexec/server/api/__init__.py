"""The HTTP API: one module for each resource, and the documents that requests and answers are."""
