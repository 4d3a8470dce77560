"""Panel methods of other libraries: differences, synthetic controls, factor models."""
