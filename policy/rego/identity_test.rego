package ostiary.testing

test_sensitive_http_needs_a_proof if {
	asked := with_resource(question, "http", "sensitive")
	verdict(asked) == "step_up"
	codes(asked) == ["identity.unproven", "risk.low"]
	verdict(proven(asked)) == "allow"
}

test_network_is_never_asked_for_a_proof if {
	verdict(with_resource(question, "network", "sensitive")) == "allow"
}

test_unmanaged_device if {
	asked := proven(with_subject(with_resource(question, "http", "sensitive"), {"device": "unmanaged"}))
	verdict(asked) == "step_up"
	codes(asked) == ["device.unmanaged", "risk.low"]
	verdict(with_subject(with_resource(question, "network", "sensitive"), {"device": "unmanaged"})) == "throttle"
	verdict(with_subject(question, {"device": "unmanaged"})) == "allow"
}

test_poor_device if {
	asked := proven(with_subject(with_resource(question, "http", "sensitive"), {"posture": "poor"}))
	codes(asked) == ["device.poor", "risk.low"]
	verdict(with_subject(question, {"posture": "poor"})) == "allow"
}

of_age(sensitivity, age) := proven(with_subject(
	with_resource(question, "http", sensitivity),
	{"session": {"state": "known", "age_s": age}},
))

test_old_session if {
	verdict(of_age("sensitive", 43200)) == "allow"
	codes(of_age("sensitive", 43201)) == ["session.old", "risk.low"]
	verdict(of_age("sensitive", 43201)) == "step_up"
	verdict(of_age("normal", 43201)) == "allow"
	verdict(of_age("public", 999999999)) == "allow"
	verdict(with_resource(of_age("sensitive", 43201), "network", "sensitive")) == "allow"
}
