"""What is secret in the store is sealed; the keys for it are in a file beside the database, not in it."""
