"""The event stream: plays and news on their way from a source to live state, each counted exactly once.

Read `events` (what travels), `producer` and `consumer` (how nothing is lost), `state` (what it adds up to) and
`deltas` (what is told to the live hub).
"""
