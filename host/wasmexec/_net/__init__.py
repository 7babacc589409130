"""Names, addresses and certificates: what grants and connections both have to read. Imports nothing of ours."""
