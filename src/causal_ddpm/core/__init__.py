"""What every layer speaks: data, estimands, estimates, laws, errors, random streams."""
