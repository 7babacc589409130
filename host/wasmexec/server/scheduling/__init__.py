"""Which run of which tenant is next: start-time fair queueing on processor time."""
