"""Effects on panels: counterfactual paths of treated units, with bands that placebos calibrate."""
