"""The fault bench: compositions, faults drawn by seed, and one row of what became of the records."""
