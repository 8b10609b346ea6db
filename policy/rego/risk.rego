# What the subject's risk says about this resource.
#
# Serves NIST SP 800-207 tenets 4 (access follows from observed behaviour and state), 5 (the posture of every asset is
# watched) and 6 (access is judged anew before each use).
package ostiary

import data.ostiary.config

# The bands that the risk reaches, the highest first. The thresholds are the policy's own: the level in the question is
# for readers.
bands := [threshold.name |
	some threshold in config.bands
	risk >= threshold.at_least
]

default band := "critical"

band := bands[0]

# What the matrix says of this resource under a band, or under "missing" or "stale".
cell(column) := object.get(config.matrix, [resource_kind, sensitivity, column], "deny")

# Isolation cuts a subject off everywhere: it needs more than a hunch.
default uncertain := false

uncertain if {
	cell(band) == "isolate"
	confidence < config.confidence_to_isolate
}

risk_verdict := "deny" if {
	uncertain
} else := cell(band)

# Tenet 4: the risk, as it is known. A stale one still counts against the subject.
proposals contains {"code": concat(".", ["risk", band]), "verdict": risk_verdict} if scored

# Tenet 4: too little evidence to isolate.
proposals contains {"code": "risk.uncertain", "verdict": risk_verdict} if {
	scored
	uncertain
}

# Tenet 5: a subject of whom nothing is known is no trusted subject.
proposals contains {"code": "risk.missing", "verdict": cell("missing")} if risk_state == "missing"

# Tenet 5: knowledge that is out of date is no knowledge.
proposals contains {"code": "risk.stale", "verdict": cell("stale")} if risk_state == "stale"
