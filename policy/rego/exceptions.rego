# Exceptions that the operator wrote into the data: each has an end and a why, and is named in the decision's reasons.
#
#   "allow_list":  {"ip:192.0.2.10": {"until": "2027-01-01T00:00:00Z", "why": "vulnerability scanner"}}
#   "break_glass": {"alice@example.org": {"until": "2026-12-01T06:00:00Z", "why": "outage 4711"}}
#   "shared":      {"entities": {"ip:198.51.100.1": "office NAT"}, "at_most": "throttle"}
package ostiary

import data.ostiary.config

# An exception holds until its end; one without a readable end never holds.
in_force(exception) if {
	end := text(exception, "until")
	end != ""
	is_time(end)
	asked_at < end
}

# NIST SP 800-207 tenet 3: access is granted for a while, to one subject.
caps contains {"code": "exception.allow-list", "verdict": "allow"} if {
	in_force(object.get(config.allow_list, entity, {}))
}

# NIST SP 800-207 tenets 3 and 6: an emergency lifts the verdict, not the proof of who asks.
caps contains {"code": "exception.break-glass", "verdict": "allow"} if {
	proof in {"token", "mtls"}
	in_force(object.get(config.break_glass, identity, {}))
}

# NIST SP 800-207 tenet 4: many subjects behind one address must not pay for one of them.
caps contains {"code": "exception.shared", "verdict": config.shared.at_most} if {
	object.get(config.shared.entities, entity, null) != null
}
