"""What the server keeps in its database: one thread writes, what waits together in one transaction."""
