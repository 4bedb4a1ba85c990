"""One module per claim: python -m benchmarks.NAME prints a table and writes JSON."""
