"""The server that hosts tenants: who may run, what runs next, what it may use."""
