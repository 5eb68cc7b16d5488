"""Speed, memory and quality, measured: `python -m benchmarks NAME` prints a table and writes JSON beside it."""
