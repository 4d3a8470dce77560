"""Conditional diffusion engine for scalar outcomes; knows conditions, not causality."""
