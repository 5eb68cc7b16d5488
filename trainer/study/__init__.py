"""Human studies: a blind page that people rate takes on, and what their scores add up to (the paper's 4.2.2)."""
