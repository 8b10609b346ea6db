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
