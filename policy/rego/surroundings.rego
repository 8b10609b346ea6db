# When and from where, and what became of the subject's questions before.
package ostiary

import data.ostiary.config

# Whether hours that the operator set hold now. They are in UTC, as the question's time is; without a time they do not.
is_open(hours) if {
	weekday in hours.days
	clock >= hours.from
	clock < hours.to
} else := false

# NIST SP 800-207 tenet 4: access depends on when it is asked for.
proposals contains {"code": "time.closed", "verdict": hours.closed} if {
	some hours in config.hours
	hours.kind == resource_kind
	sensitivity in hours.sensitivities
	is_open(hours) == false
}

# NIST SP 800-207 tenet 4: a place from which nobody is expected to ask. An unknown one is not held against anybody.
proposals contains {"code": "place.unexpected", "verdict": config.places.otherwise} if {
	config.places.expected != []
	place != ""
	not place in config.places.expected
}

# NIST SP 800-207 tenet 2: no network is trusted for being inside, but some may be kept away from what is sensitive.
proposals contains {"code": "network.excluded", "verdict": verdict_there} if {
	sensitivity == "sensitive"
	verdict_there := object.get(config.networks, network, "allow")
	verdict_there != "allow"
}

# NIST SP 800-207 tenet 7: what was refused before counts: whoever goes on asking is slowed down.
proposals contains {"code": "history.refused", "verdict": config.history.verdict} if {
	refused >= config.history.refused
}
