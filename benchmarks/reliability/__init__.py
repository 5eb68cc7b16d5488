"""What happens when things go wrong, tried many times: `fuzz` damages files, `kills` ends processes. POSIX only."""
