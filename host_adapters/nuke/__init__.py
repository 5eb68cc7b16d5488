"""Nuke, 13 to 17: a menu, a node group with knobs, and a headless entry."""
