"""Code that the build runs inside a guest; it imports nothing of wasmbuild."""
