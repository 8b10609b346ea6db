package ostiary.testing

# Each change makes one part of the question unreadable.
broken := {
	"input.version": [object.union(question, {"version": 2}), object.remove(question, {"version"})],
	"input.subject": [
		object.remove(question, {"subject"}),
		object.union(question, {"subject": "somebody"}),
		with_subject(question, {"kind": "ghost"}),
		with_subject(question, {"id": ""}),
		with_subject(question, {"id": 7}),
	],
	"input.resource": [
		object.remove(question, {"resource"}),
		with_resource(question, "pipe", "normal"),
		with_resource(question, "network", "secret"),
		with_resource(question, "network", ["normal"]),
	],
	"input.action": [object.remove(question, {"action"}), object.union(question, {"action": ""})],
	"input.risk": [
		object.remove(question, {"risk"}),
		of_risk(-0.1),
		of_risk(1.1),
		of_risk("0.5"),
		of_risk(null),
		object.union(question, {"risk": {"state": "guessed"}}),
		object.union(question, {"risk": {"confidence": "much"}}),
	],
}

test_unreadable_questions_are_denied if {
	every code, questions in broken {
		every asked in questions {
			verdict(asked) == "deny"
			codes(asked) == [code]
		}
	}
}

test_no_question_at_all if {
	every asked in [{}, [], "x", 5, null, true] {
		verdict(asked) == "deny"
		count(codes(asked)) == 5
	}
}

test_no_exception_helps_an_unreadable_question if {
	asked := with_resource(question, "pipe", "normal")
	verdict(asked) == "deny" with data.ostiary.config.allow_list as {"ip:192.0.2.7": {"until": "2027-01-01T00:00:00Z"}}
}

test_every_reason_has_a_text if {
	texts := data.ostiary.config.texts
	every code in {reason_code | some code, _ in broken; reason_code := code} {
		texts[code]
	}
	every band in data.ostiary.config.bands {
		texts[concat(".", ["risk", band.name])]
	}
}

test_the_matrix_is_whole if {
	names := {band.name | some band in data.ostiary.config.bands} | {"missing", "stale"}
	every _, rows in data.ostiary.config.matrix {
		every _, row in rows {
			object.keys(row) == names
		}
	}
}

test_unknown_verdict_in_the_data_is_deny if {
	verdict(question) == "deny" with data.ostiary.config.matrix.network.normal.low as "perhaps"
}

test_obligations_and_time_to_live if {
	found := data.ostiary.decision with input as of_risk(0.5)
	found.obligations.rate_bytes_per_s == data.ostiary.config.obligations.throttle.rate_bytes_per_s
	found.ttl_s == data.ostiary.config.ttl_s.throttle
}

test_without_its_data_the_policy_denies if {
	found := data.ostiary.decision with input as question with data.ostiary.config as {}
	found.verdict == "deny"
	[reason.code | some reason in found.reasons] == ["policy.undefined"]
}

test_what_is_sensitive_is_not_cached if {
	asked := proven(with_resource(question, "http", "sensitive"))
	found := data.ostiary.decision with input as asked
	found.obligations == {"headers": {"set": {"cache-control": "no-store"}, "strip": []}}
}
