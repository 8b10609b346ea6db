"""Deep look: what tshark, through pyshark, makes of a few packets of one entity.

`look` (here, in our process) starts `inside` (a process of its own), which locks itself into `sandbox` before it starts
tshark. tshark knows thousands of protocols, and strangers have often made it fail: what comes back is believed in form
only, and whatever happens in there costs one counted error.
"""
