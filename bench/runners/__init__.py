"""One script a side of a comparison; each runs in its own process, peers in their own environments.

Scripts of peers import nothing of Precept: they have ``bench.runners.protocol``, numpy and the peer.
"""
