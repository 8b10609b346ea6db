# The question, read so that nothing in it is ever undefined.
#
# Every other file reads the input through these rules only: each has a value for any input whatever, so that no rule
# hangs on what engines make of an undefined reference under `not`.
package ostiary.request

import data.ostiary.config

version := 1

kinds := {"ip", "host", "subnet", "user", "device", "session", "workload"}

default root := {}

root := input if is_object(input)

# An object inside the question; {} where it is missing or something else.
part(name) := found if {
	found := object.get(root, name, {})
	is_object(found)
} else := {}

# A text inside an object; "" where it is missing or something else.
text(source, key) := found if {
	found := object.get(source, key, "")
	is_string(found)
} else := ""

# A number from 0 to 1 inside an object; `otherwise` where it is missing or something else.
fraction(source, key, otherwise) := found if {
	found := object.get(source, key, otherwise)
	is_number(found)
	found >= 0
	found <= 1
} else := otherwise

kind := text(part("resource"), "kind")

sensitivity := text(part("resource"), "sensitivity")

proof := text(part("subject"), "proof")

identity := text(part("subject"), "identity")

device := text(part("subject"), "device")

# The subject as exceptions name it, e.g. "ip:192.0.2.7".
entity := concat(":", [text(part("subject"), "kind"), text(part("subject"), "id")])

# The time of the question, RFC 3339 in UTC to the second, so that texts compare as times do; "9999" (later than any
# exception ends) where there is none.
time := found if {
	found := text(part("environment"), "time")
	is_time(found)
} else := "9999"

is_time(candidate) := regex.match(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`, candidate)

risk_state := text(part("risk"), "state")

# 1 where a risk is missing or makes no sense: never less strict for want of a number.
risk := fraction(part("risk"), "risk", 1)

confidence := fraction(part("risk"), "confidence", 0)

# What is wrong with the question. A question with any problem is denied.
# Serves NIST SP 800-207 tenet 1 (everything is a resource): what is not known as one is refused, not waved through.
problems contains "input.version" if object.get(root, "version", 0) != version

problems contains "input.subject" if {
	subject_known := [true |
		text(part("subject"), "kind") in kinds
		text(part("subject"), "id") != ""
	]
	count(subject_known) == 0
}

problems contains "input.resource" if object.get(config.matrix, [kind, sensitivity], {}) == {}

problems contains "input.action" if text(root, "action") == ""

problems contains "input.risk" if count(risk_known) == 0

risk_known contains "missing" if risk_state == "missing"

risk_known contains "scored" if {
	risk_state in {"known", "stale"}
	fraction(part("risk"), "risk", -1) >= 0
	fraction(part("risk"), "confidence", -1) >= 0
}
