"""Packets become flows, DNS questions and HTTP requests, by compiled kernels that run over mapped bytes.

The way of a packet: a walker (`pcap`, `pcapng`, `ring`) finds the frames, `decode` reads their headers into columns,
`flows` keeps the table of flows, `dns` and `http` look at the few payloads that they understand, `pipeline` makes
batches of what they give. `capture` and `live` are the two sources. No Python object is made for a packet.
"""
