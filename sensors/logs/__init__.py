"""Reading log files: bytes to lines, lines to batches, and what line formats share (time stamps, syslog)."""
