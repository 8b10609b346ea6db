"""Packets become flows, questions, requests, files and commands, by compiled kernels that run over mapped bytes.

The way of a packet: a walker (`pcap`, `pcapng`, `ring`) finds the frames, `decode` reads their headers into columns,
`signs` tells what their payloads begin like, `flows` keeps the table of flows, `dns`, `http` and `chosen` find the few
payloads that `messages` reads, `pipeline` makes batches of what they give. `capture` and `live` are the two sources.
Python objects are made for the chosen packets only.
"""
