"""Means of action, one a module."""
