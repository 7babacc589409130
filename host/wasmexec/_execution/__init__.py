"""One execution, from the request that starts it to its result."""
