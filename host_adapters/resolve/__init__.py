"""DaVinci Resolve, 18.6 to 21: a script for Workspace > Scripts, and the same session for external scripting."""
