package ostiary.testing

listed := {"ip:192.0.2.7": {"until": "2026-11-24T12:00:01Z", "why": "scanner"}}

glass := {"alice": {"until": "2026-11-24T12:00:01Z", "why": "outage"}}

test_allow_list if {
	verdict(of_risk(1)) == "allow" with data.ostiary.config.allow_list as listed
	codes(of_risk(1)) == ["exception.allow-list", "risk.critical"] with data.ostiary.config.allow_list as listed
}

test_exception_that_changes_nothing_is_not_told if {
	codes(question) == ["risk.low"] with data.ostiary.config.allow_list as listed
}

test_exception_ends if {
	later := object.union(of_risk(1), {"environment": {"time": "2026-11-24T12:00:01Z"}})
	verdict(later) == "isolate" with data.ostiary.config.allow_list as listed
}

test_exception_without_an_end_never_holds if {
	every broken in [{}, {"until": ""}, {"until": "tomorrow"}, {"until": 5}, "always", null] {
		verdict(of_risk(1)) == "isolate" with data.ostiary.config.allow_list as {"ip:192.0.2.7": broken}
	}
}

test_exception_needs_a_time if {
	timeless := object.union(of_risk(1), {"environment": {"time": "now"}})
	verdict(timeless) == "isolate" with data.ostiary.config.allow_list as listed
}

test_break_glass if {
	asked := proven(of_risk(0.95))
	found := data.ostiary.decision with input as asked with data.ostiary.config.break_glass as glass
	found.verdict == "allow"
	found.obligations == {"audit": "break_glass", "notify": true}
	[reason.code | some reason in found.reasons] == ["exception.break-glass", "risk.critical"]
}

test_break_glass_needs_a_strong_proof if {
	every proof in ["none", "password"] {
		asked := with_subject(of_risk(0.95), {"identity": "alice", "proof": proof})
		verdict(asked) == "isolate" with data.ostiary.config.break_glass as glass
	}
}

test_shared_addresses_are_never_shut_out if {
	shared := {"entities": {"ip:192.0.2.7": "office"}, "at_most": "throttle"}
	verdict(of_risk(1)) == "throttle" with data.ostiary.config.shared as shared
	codes(of_risk(1)) == ["exception.shared", "risk.critical"] with data.ostiary.config.shared as shared
}
