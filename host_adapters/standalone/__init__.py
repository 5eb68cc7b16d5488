"""The editor's document, without Qt: a timeline that is a value, and edits that are functions."""
