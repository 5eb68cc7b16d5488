"""Prepare footage, train, fine-tune, evaluate: all that makes or judges weights."""
