"""Rendering a take in chunks on several machines.

`steps` does the work of one task; `session` keeps the model loaded between a worker's tasks; `bundle` describes the job
to a farm as an Open Job Description template; `local` runs such a bundle on this machine.
"""
