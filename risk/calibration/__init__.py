"""From scores to p-values, and from p-values to alarms within a budget."""

from risk.calibration.conformal import SlidingConformal
from risk.calibration.tail import Tail

__all__ = ["SlidingConformal", "Tail"]
"""What the models and the reference use."""
