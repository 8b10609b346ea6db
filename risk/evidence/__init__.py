"""The behaviours, one module each; `risk.behaviours` finds them."""
