# A risk budget for each route, spent by age, confidence and reasons; four eyes for what is worst.
package ostiary

import data.ostiary.routes

default known := {"risk": 1, "confidence": 0, "age_s": 0, "reasons": []}

known := object.filter(input.risk, ["risk", "confidence", "age_s", "reasons"]) if {
	input.risk.state in {"known", "stale"}
	is_number(input.risk.risk)
	is_number(input.risk.confidence)
	is_number(input.risk.age_s)
	is_array(input.risk.reasons)
}

route := object.get(routes, object.get(input, ["resource", "name"], ""), routes["*"])

# Whole points, so that every engine counts them alike.
bands := [0.05, 0.1, 0.2, 0.4, 0.7, 0.9]

reached := count([band | some band in bands; known.risk >= band])

fresh := 2 - count([age | some age in [3600, 86400]; known.age_s >= age])

faded := (reached * route.weight) * fresh

sorts := {substring(reason, 0, indexof(reason, ".")) |
	some reason in known.reasons
	contains(reason, ".")
}

extra := sum([points |
	some sort in sorts
	points := object.get(data.ostiary.points, sort, 1)
])

spent := (faded * 10) + extra

every_reason_is_known if {
	every reason in known.reasons {
		count(reason) > 3
	}
}

default four_eyes := false

four_eyes if {
	route.four_eyes
	spent > 0
	every_reason_is_known
}

steps := ["allow", "throttle", "step_up", "deny", "isolate"]

level := min([4, max([0, round(spent / route.budget)])])

verdict := steps[level]

decision := {
	"verdict": verdict,
	"reasons": [{"code": "budget.spent", "text": format_int(spent, 10)}],
	"obligations": {"four_eyes": four_eyes, "sorts": sorts, "bits": bits.and(level, 3)},
	"ttl_s": 60 - (level * 10),
}
