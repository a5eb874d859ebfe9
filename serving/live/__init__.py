"""The live hub: WebSocket workers that pass on what changed, and the process that asks the models again.

Read `protocol` (what is said over a socket), `topics` (what a worker remembers), `worker` and `recompute`.
"""
