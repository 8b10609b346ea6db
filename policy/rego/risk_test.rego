package ostiary.testing

# Thresholds that the risk core relies on: a finding of 0.8 or more is refused, one under 0.6 is not.
test_normal_network if {
	verdict(of_risk(0)) == "allow"
	verdict(of_risk(0.2)) == "allow"
	verdict(of_risk(0.4)) == "throttle"
	verdict(of_risk(0.5999)) == "throttle"
	verdict(of_risk(0.8)) == "deny"
	verdict(of_risk(0.9)) == "isolate"
	verdict(of_risk(1)) == "isolate"
}

test_sensitive_is_one_step_stricter if {
	every pair in [[0.1, "allow"], [0.2, "throttle"], [0.4, "deny"], [0.7, "isolate"], [0.9, "isolate"]] {
		verdict(with_resource(of_risk(pair[0]), "network", "sensitive")) == pair[1]
	}
}

test_sensitive_http_asks_for_more_proof if {
	verdict(proven(with_resource(of_risk(0.4), "http", "sensitive"))) == "step_up"
}

test_public_is_one_step_laxer if {
	every pair in [[0.1, "allow"], [0.2, "allow"], [0.4, "allow"], [0.7, "throttle"], [0.9, "deny"], [1, "deny"]] {
		verdict(with_resource(of_risk(pair[0]), "network", "public")) == pair[1]
	}
}

test_too_little_evidence_does_not_isolate if {
	asked := object.union(of_risk(0.95), {"risk": {"confidence": 0.49}})
	verdict(asked) == "deny"
	codes(asked) == ["risk.critical", "risk.uncertain"]
}

test_missing_risk if {
	verdict(missing) == "allow"
	codes(missing) == ["risk.missing"]
	verdict(with_resource(missing, "network", "sensitive")) == "throttle"
	verdict(proven(with_resource(missing, "http", "sensitive"))) == "step_up"
}

test_stale_risk_still_counts if {
	asked := object.union(of_risk(0.8), {"risk": {"state": "stale"}})
	verdict(asked) == "deny"
	codes(asked) == ["risk.high", "risk.stale"]
}

test_stale_risk_is_no_clearance if {
	asked := with_resource(object.union(question, {"risk": {"state": "stale"}}), "http", "normal")
	verdict(asked) == "throttle"
	codes(asked) == ["risk.stale", "risk.low"]
}

test_without_bands_everything_is_critical if {
	verdict(question) == "isolate" with data.ostiary.config.bands as []
}

proven(asked) := with_subject(asked, {"identity": "alice", "proof": "mtls"})
