"""Blender's video sequencer: an extension for people (`addon/`), and a headless session for pipelines and tests.

What runs inside Blender is under the GPL and lies in `addon/`; the rest talks to it through a pipe.
"""
