"""HTTP: connections, heads, bodies, which operation a request is for, and problems as answers."""
