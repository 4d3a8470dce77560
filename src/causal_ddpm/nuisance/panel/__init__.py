"""Untreated outcomes of a panel: base fits, and the laws of cells that diffusion learns."""
