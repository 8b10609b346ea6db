"""The models of what is usual, one module an algorithm; `risk.anomaly` decides what their scores mean."""
