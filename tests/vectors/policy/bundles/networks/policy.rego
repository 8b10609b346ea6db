# Networks: sources by CIDR, the worst listing wins, closed at night for those from outside.
package ostiary

default source := "0.0.0.0"

source := input.subject.id if net.cidr_is_valid(concat("", [object.get(input, ["subject", "id"], ""), "/32"]))

listings contains listing if {
	some listing in data.ostiary.config.listings
	net.cidr_contains(listing.cidr, source)
}

# The hour as a text: texts of one length compare as the hours do.
default hour := "00"

hour := substring(input.environment.time, 11, 2)

inside if {
	some listing in listings
	listing.kind == "inside"
}

weights := [listing.weight | some listing in listings]

default worst := 0

worst := max(weights)

night if hour >= data.ostiary.config.closes

night if hour < data.ostiary.config.opens

verdict := "isolate" if {
	worst >= 90
} else := "deny" if {
	worst >= 50
} else := "allow" if {
	inside
} else := "step_up" if {
	night
} else := "throttle"

decision := {
	"verdict": verdict,
	"reasons": [{"code": concat(".", ["network", listing.kind]), "text": listing.why} | some listing in listings],
	"obligations": {"hour": hour},
	"ttl_s": 5,
}
