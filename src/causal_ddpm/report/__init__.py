"""The only place that draws: displays, tables and the HTML report."""
