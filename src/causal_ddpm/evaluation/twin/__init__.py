"""Data like yours whose truth you set: a design learnt from a data set."""
