"""Logs that come to us: by syslog, by HTTP, by a pipe. All of them pass a queue on disk, and are read from there."""
