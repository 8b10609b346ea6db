"""Sensors turn packets and log lines into observations in event time; they never judge.

A `Source` yields `Batch` values: columns of observations of one stretch of event time. `merge` brings several sources
into one order. Malformed input is counted and reported with its offset (`Counters`), and everything around it is kept.
"""
