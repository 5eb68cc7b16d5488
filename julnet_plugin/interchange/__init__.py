"""Takes for other programs: a Nuke script, a Fusion composition and an OpenTimelineIO timeline, written as text.

Standard library only (OpenTimelineIO for its own file), so that host adapters can use it as it is.
"""
