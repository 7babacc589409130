"""What the guest may ask of the host; a folder or file for each capability."""
