"""Pictures and sound in and out: probe, read, colour, write. Nothing else in the project opens a media file."""
