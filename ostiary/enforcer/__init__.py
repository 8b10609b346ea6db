"""The privileged enforcer: a process of its own that alone may change the network, and the engine's way to ask it.

It takes typed requests over a unix socket from one user id only, and checks never-list, lease and budget again itself:
whoever takes over the engine, which parses the bytes of strangers, still cannot cut off a gateway, act for ever or act
without bound.
"""

from ostiary.enforcer.client import EnforcerClient
from ostiary.enforcer.server import serve

__all__ = ["EnforcerClient", "serve"]
