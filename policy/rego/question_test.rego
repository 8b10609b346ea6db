# Questions that the other tests start from.
package ostiary.testing

question := {
	"version": 1,
	"subject": {"kind": "ip", "id": "192.0.2.7", "identity": "", "proof": "none", "device": "unknown"},
	"resource": {"kind": "network", "name": "any", "sensitivity": "normal"},
	"action": "connect",
	"environment": {"time": "2026-11-24T12:00:00Z", "facts": {}},
	"risk": {
		"state": "known",
		"risk": 0.1,
		"level": "low",
		"confidence": 0.9,
		"age_s": 1,
		"reasons": [],
		"model_revision": "m",
	},
}

of_risk(risk) := object.union(question, {"risk": {"risk": risk}})

with_resource(base, kind, sensitivity) := object.union(base, {"resource": {"kind": kind, "sensitivity": sensitivity}})

with_subject(base, subject) := object.union(base, {"subject": subject})

# The question with its risk known to be missing.
missing := object.union(object.remove(question, {"risk"}), {"risk": {"state": "missing"}})

answer(asked) := found if {
	found := data.ostiary.decision with input as asked
}

verdict(asked) := answer(asked).verdict

codes(asked) := [reason.code | some reason in answer(asked).reasons]
