"""One guest: its image, engine, memory and instance, and the channel to it. Imports nothing above it but the errors."""
