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

lately(base, age) := with_subject(base, {"stepped_up_age_s": age})

test_proving_oneself_anew_settles_what_asks_for_it if {
	asked := proven(with_subject(with_resource(question, "http", "sensitive"), {"device": "unmanaged"}))
	verdict(lately(asked, 3600)) == "allow"
	codes(lately(asked, 3600)) == ["device.unmanaged", "identity.stepped-up", "risk.low"]
	verdict(lately(asked, 3601)) == "step_up"
	verdict(lately(asked, -1)) == "step_up"
	verdict(lately(asked, "0")) == "step_up"
}

test_proving_oneself_anew_settles_nothing_that_is_refused if {
	asked := proven(with_resource(of_risk(0.95), "http", "normal"))
	verdict(lately(asked, 0)) == verdict(asked)
	codes(lately(question, 0)) == ["risk.low"]
}

test_what_others_say_of_the_risk if {
	asked := with_subject(with_resource(question, "http", "normal"), {"told_risk": "high"})
	verdict(asked) == "step_up"
	codes(asked) == ["identity.told-risky", "risk.low"]
	verdict(lately(asked, 60)) == "allow"
	verdict(with_subject(asked, {"told_risk": "medium"})) == "allow"
	verdict(with_resource(asked, "http", "public")) == "allow"
	verdict(with_resource(asked, "network", "normal")) == "allow"
}
