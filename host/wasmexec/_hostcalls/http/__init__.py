"""HTTP for the guest: requests to granted hosts, over connections to checked addresses only."""
