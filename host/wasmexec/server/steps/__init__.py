"""Steps on the server: their documents, and runs of them, whose rows are a flow of executions."""
