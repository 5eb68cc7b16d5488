"""The trainer's verbs, one module each; a module here imports nothing heavy at its top."""
