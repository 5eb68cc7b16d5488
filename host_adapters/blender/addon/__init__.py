# SPDX-License-Identifier: GPL-3.0-or-later
"""JULNet in Blender: an extension for the video sequencer."""
