"""Long bodies are read in a process of its own: the front has neither their bytes nor the time that it takes."""
