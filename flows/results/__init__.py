"""The results page, written from the JSON files in `benchmarks/results/`: no figure on it is typed by hand."""
