"""Ostiary, the doorkeeper: the composition of sensors, risk, policy, response and compliance into one product.

Nothing in here knows a packet, a feature or a rule; it connects the parts, reads the settings and meets the user.
"""

__version__ = "0.1.0"
