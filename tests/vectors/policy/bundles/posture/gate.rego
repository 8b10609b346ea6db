package ostiary

import data.posture.score

needed := {"public": -60, "normal": 0, "sensitive": 50}

default sensitivity := "sensitive"

sensitivity := input.resource.sensitivity if needed[input.resource.sensitivity]

gap := object.get(needed, sensitivity, 100) - score.total

verdict := "allow" if {
	gap <= 0
} else := "step_up" if {
	gap <= 40
} else := "deny"

decision := {
	"verdict": verdict,
	"reasons": [{"code": "posture.points", "text": sprintf("%v points are missing", [max([0, gap])])}],
	"obligations": object.union({"points": score.total}, {"sensitivity": sensitivity}),
	"ttl_s": 30,
}
