"""Whether a generative model recovers the process behind the data, or only their looks.

A design draws rows, a generator learns from them, and what it generates is held against what is
known of the process, aspect by aspect, with a fresh draw of the same size as the yardstick.
"""
