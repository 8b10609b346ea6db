# Paths and methods, as many public examples for HTTP APIs have them.
package ostiary

default path := []

path := split(trim(input.resource.name, "/"), "/") if is_string(input.resource.name)

default method := ""

method := upper(input.action) if is_string(input.action)

default user := ""

user := lower(trim_space(input.subject.identity)) if is_string(input.subject.identity)

proven if object.get(input, ["subject", "proof"], "none") in {"token", "mtls"}

allowed contains "health" if {
	path == ["health"]
	method == "GET"
}

allowed contains "own" if {
	proven
	path[0] == "users"
	path[1] == user
}

allowed contains "public" if {
	method in {"GET", "HEAD"}
	glob.match("/static/**", ["/"], input.resource.name)
}

allowed contains "versioned" if {
	regex.match(`^v[0-9]+$`, path[0])
	proven
	not denied_path
}

default denied_path := false

denied_path if "admin" in path

blocked contains name if {
	some name, value in input.environment.facts
	value in data.ostiary.agents
}

verdict := "deny" if {
	count(blocked) > 0
} else := "allow" if {
	count(allowed) > 0
} else := "step_up" if {
	not proven_at_all
} else := "deny"

default proven_at_all := false

proven_at_all if proven

decision := {
	"verdict": verdict,
	"reasons": array.concat(
		[{"code": concat(".", ["path", why]), "text": "The path is open."} | some why in allowed],
		[{"code": "fact.blocked", "text": name} | some name in blocked],
	),
	"obligations": {"depth": count(path), "strip": [fact | some fact, _ in object.get(input, ["environment", "facts"], {})]},
	"ttl_s": 1,
}
