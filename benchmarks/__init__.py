"""One module per claim, python -m benchmarks.NAME, with a table and JSON."""
