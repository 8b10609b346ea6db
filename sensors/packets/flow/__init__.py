"""The table of flows: `table` is what others use.

`nodes` says what is kept of a flow, `index` finds it, `lists` keep the order of age and of use, `tcp` follows
connections, `measures` and `history` describe them, `rows` tells of them, `follow` is the walk over packets, `saved`
carries the table over a restart. `community` names a flow as other sensors do.
"""
