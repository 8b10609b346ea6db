"""Entity windows over flows: what each source, destination, pair and channel did in the last seconds and minutes."""

from risk.windows.features import FEATURES, INDEX, MODELS, Feature
from risk.windows.windows import FlowView, FlowWindows

__all__ = ["FEATURES", "INDEX", "MODELS", "Feature", "FlowView", "FlowWindows"]
