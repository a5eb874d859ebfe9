"""Where a question is answered: at the edge (<= 10 ms), by the regional models (<= 100 ms), or in the cloud (<= 500 ms
to accept).

Read `router` (which tier, or a refusal), `costs` (what things take, and how that is learned), then the tiers `edge`,
`regional` and `cloud`. `answerer` puts them together.
"""
