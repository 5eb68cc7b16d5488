"""Widgets: each shows a value that it is given and says what the user did; none owns a truth."""
