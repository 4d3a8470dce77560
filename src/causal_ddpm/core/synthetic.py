"""The mark of generated rows, which every layer that reads or writes frames knows."""

SYNTHETIC_MARKER = "__synthetic__"
"""Boolean column that marks generated rows; estimators refuse to count them."""
