"""Laboratory of designs whose truth is known."""
