"""One module a format; see `sensors.registry`."""
