"""The Python half of the guest: takes a statement from the host, runs it, hands its rows back."""
