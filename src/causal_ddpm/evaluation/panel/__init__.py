"""A panel as a whole: diagnostics, other methods, and the record that reports are made from."""
