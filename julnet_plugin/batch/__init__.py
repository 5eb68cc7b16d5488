"""Many lines re-dubbed in one go.

`lines` reads what is to be done, `run` does it line by line in a worker process and keeps the table of results.
"""
