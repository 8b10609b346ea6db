package ostiary.testing

duties := {
	"not_by_owner": [{"resource": "/approve/", "actions": ["POST"]}],
	"apart": [{"resource": "/pay/", "groups": ["clerks", "auditors"]}],
}

asks(name, who, group_list, owner) := {
	"version": 1,
	"subject": {
		"kind": "ip", "id": "192.0.2.7", "identity": who, "proof": "mtls",
		"device": "managed", "groups": group_list,
	},
	"resource": {"kind": "http", "name": name, "sensitivity": "normal", "owner": owner},
	"action": "POST",
	"environment": question.environment,
	"risk": question.risk,
}

test_nobody_approves_their_own if {
	own := asks("/approve/7", "alice", [], "alice")
	verdict(own) == "deny" with data.ostiary.config.duties as duties
	codes(own)[0] == "duties.own" with data.ostiary.config.duties as duties
	verdict(asks("/approve/7", "bob", [], "alice")) == "allow" with data.ostiary.config.duties as duties
	verdict(asks("/approve/7", "", [], "")) == "allow" with data.ostiary.config.duties as duties
	verdict(asks("/read/7", "alice", [], "alice")) == "allow" with data.ostiary.config.duties as duties
	verdict(object.union(own, {"action": "GET"})) == "allow" with data.ostiary.config.duties as duties
}

test_two_duties_in_one_hand if {
	both := asks("/pay/", "alice", ["auditors", "clerks", "staff"], "")
	verdict(both) == "deny" with data.ostiary.config.duties as duties
	codes(both)[0] == "duties.conflict" with data.ostiary.config.duties as duties
	verdict(asks("/pay/", "alice", ["clerks"], "")) == "allow" with data.ostiary.config.duties as duties
	verdict(asks("/pay/", "alice", "clerks", "")) == "allow" with data.ostiary.config.duties as duties
	verdict(asks("/other/", "alice", ["auditors", "clerks"], "")) == "allow" with data.ostiary.config.duties as duties
}
