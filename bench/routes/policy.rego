# A policy as a company with 200 routes would have it: identity, device, risk by sensitivity, networks, hours.
package ostiary

import data.ostiary.hosts
import data.ostiary.networks
import data.ostiary.settings

limits := {
	"public": {"allow": 0.9, "step_up": 0.95},
	"normal": {"allow": 0.6, "step_up": 0.8},
	"sensitive": {"allow": 0.3, "step_up": 0.5},
}

strong := {"token", "mtls"}

writing := {"POST", "PUT", "PATCH", "DELETE"}

default name := ""

name := input.resource.name if is_string(input.resource.name)

default action := ""

action := upper(input.action) if is_string(input.action)

default identity := ""

identity := input.subject.identity if is_string(input.subject.identity)

default proof := "none"

proof := input.subject.proof if is_string(input.subject.proof)

default device := "unknown"

device := input.subject.device if is_string(input.subject.device)

default posture := "unknown"

posture := input.subject.posture if is_string(input.subject.posture)

default age_s := 0

age_s := input.subject.session.age_s if is_number(input.subject.session.age_s)

# Who vouched for the identity, as the gateway tells.
default issuer := ""

issuer := input.environment.facts.issuer if is_string(input.environment.facts.issuer)

default zone := ""

zone := input.environment.network if is_string(input.environment.network)

default weekday := ""

weekday := input.environment.weekday if is_string(input.environment.weekday)

default refused := 0

refused := input.history.refused if is_number(input.history.refused)

default address := "0.0.0.0"

address := input.subject.id if input.subject.kind == "ip"

default risk := 0.5

risk := input.risk.risk if is_number(input.risk.risk)

default clock := "00:00"

clock := substring(input.environment.time, 11, 5) if is_string(input.environment.time)

words := split(trim(name, "/"), "/")

default host := ""

host := words[0]

default path := ""

path := words[1]

unknown_route := {"sensitivity": "sensitive", "methods": [], "groups": [], "hours": false}

route := object.get(hosts, [host, path], unknown_route)

limit := object.get(limits, object.get(route, "sensitivity", "sensitive"), limits.sensitive)

# Networks lie under their first two numbers, so that few are compared.
block := concat(".", array.slice(split(address, "."), 0, 2))

listed contains network.why if {
	some network in object.get(networks, block, [])
	net.cidr_contains(network.cidr, address)
}

groups := object.get(settings.members, identity, [])

default member := false

member if {
	some group in groups
	group in object.get(route, "groups", [])
}

denials contains "route.unknown" if route == unknown_route

methods := object.get(route, "methods", [])

denials contains "method" if not action in methods

denials contains "network.listed" if count(listed) > 0

denials contains "issuer.unknown" if {
	issuer != ""
	object.get(settings.issuers, issuer, false) == false
}

denials contains "session.expired" if age_s > settings.session_s

denials contains "network.guests" if {
	zone == "guests"
	object.get(route, "sensitivity", "sensitive") != "public"
}

denials contains "history.refused" if refused >= settings.refused

denials contains "hours" if {
	object.get(route, "hours", false) == true
	weekday in {"saturday", "sunday"}
}

denials contains "risk.high" if risk >= limit.step_up

denials contains "group" if {
	count(object.get(route, "groups", [])) > 0
	not member
}

denials contains "hours" if {
	object.get(route, "hours", false) == true
	clock < settings.opens
}

denials contains "hours" if {
	object.get(route, "hours", false) == true
	clock >= settings.closes
}

doubts contains "risk.elevated" if risk >= limit.allow

doubts contains "proof.weak" if {
	action in writing
	not proof in strong
}

doubts contains "device.unmanaged" if {
	object.get(route, "sensitivity", "sensitive") == "sensitive"
	device != "managed"
}

doubts contains "device.poor" if {
	object.get(route, "sensitivity", "sensitive") != "public"
	posture == "poor"
}

doubts contains "session.old" if {
	object.get(route, "sensitivity", "sensitive") == "sensitive"
	age_s > settings.fresh_s
}

verdict := "deny" if {
	count(denials) > 0
} else := "step_up" if {
	count(doubts) > 0
} else := "allow"

codes := denials | doubts

reasons := [{"code": code, "text": object.get(settings.texts, code, code)} | some code in codes]

obligations := object.get(settings.obligations, verdict, {})

decision := {
	"verdict": verdict,
	"reasons": reasons,
	"obligations": obligations,
	"ttl_s": 5,
}
