"""From the first byte of a frame to its transport header: `link`, `network` (with `fragments`), `tunnels`, `transport`.

`decode` is the way through them. Every reader takes the bytes, where to read and where the packet ends, fills the
columns of the packet, and returns where the next header lies; what it returns instead is in `ends`.
"""
