"""Audio: speech to class scores, and class scores to one window per picture frame."""
