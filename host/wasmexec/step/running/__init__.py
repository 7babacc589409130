"""Running a step: whole inputs or row by row, and what comes of it."""
