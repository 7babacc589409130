"""Build the guest image: from pinned sources to a pre-initialised, ahead-of-time compiled module."""
