"""The coverage study: intervals of every estimand, counted against known truths."""
