"""The paper's experiments: variants of one recipe on the same data and budget, as tables beside the paper's."""
