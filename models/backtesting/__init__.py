"""What a walk-forward result is told by: figures, slices, curves and one row per prediction. No training here."""
