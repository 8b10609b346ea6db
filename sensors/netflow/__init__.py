"""Flows that routers and others export: NetFlow version 5 and 9 (RFC 3954) and IPFIX (RFC 7011), over UDP.

    datagram ──messages──> sets ──templates──> records in columns ──pairs──> FLOW rows

Guarantees: everything is bounded, whatever comes; nothing here raises for what a datagram holds. Sampled counts are
taken as they are told. Not read: options, packets inside flows, NetFlow 1, 7 and 8, sFlow.
"""
