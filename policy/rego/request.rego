# The question, read so that nothing in it is ever undefined.
#
# Every other file reads the input through these rules only: each has a value for any input whatever, so that no rule
# hangs on what engines make of an undefined reference under `not`. All files share one package: a reference through an
# import would make the embedded engine evaluate the whole of the other package.
package ostiary

import data.ostiary.config

input_version := 1

entity_kinds := {
	"ip": true, "host": true, "subnet": true, "user": true,
	"device": true, "session": true, "workload": true,
}

risk_states := {"known": true, "stale": true, "missing": true}

default question := {}

question := input if is_object(input)

# An object inside the question; {} where it is missing or something else.
part(name) := found if {
	found := object.get(question, name, {})
	is_object(found)
} else := {}

# A text inside an object; "" where it is missing or something else.
text(source, key) := found if {
	is_object(source)
	found := object.get(source, key, "")
	is_string(found)
} else := ""

# A list inside an object; [] where it is missing or something else.
list(source, key) := found if {
	is_object(source)
	found := object.get(source, key, [])
	is_array(found)
} else := []

# A number inside an object; `otherwise` where it is missing or something else.
number(source, key, otherwise) := found if {
	is_object(source)
	found := object.get(source, key, otherwise)
	is_number(found)
} else := otherwise

# A number from 0 to 1 inside the risk; `otherwise` where it is missing or something else.
fraction(key, otherwise) := found if {
	found := object.get(risk_part, key, otherwise)
	is_number(found)
	found >= 0
	found <= 1
} else := otherwise

# The parts, looked up once.
subject_part := part("subject")

resource_part := part("resource")

environment_part := part("environment")

risk_part := part("risk")

history_part := part("history")

entity_kind := text(subject_part, "kind")

entity_id := text(subject_part, "id")

# The subject as exceptions name it, e.g. "ip:192.0.2.7".
entity := concat(":", [entity_kind, entity_id])

identity := text(subject_part, "identity")

proof := text(subject_part, "proof")

device := text(subject_part, "device")

posture := text(subject_part, "posture")

groups := list(subject_part, "groups")

# -1 where nothing is known of the session.
session_age_s := number(object.get(subject_part, "session", {}), "age_s", -1)

# -1 where the subject never proved itself anew.
stepped_up_age_s := number(subject_part, "stepped_up_age_s", -1)

told_risk := text(subject_part, "told_risk")

resource_kind := text(resource_part, "kind")

sensitivity := text(resource_part, "sensitivity")

resource_name := text(resource_part, "name")

owner := text(resource_part, "owner")

action := text(question, "action")

network := text(environment_part, "network")

place := text(environment_part, "place")

weekday := text(environment_part, "weekday")

# Refusals of the last hour; 0 where nothing is known.
refused := number(history_part, "refused", 0)

risk_state := text(risk_part, "state")

# 1 where a risk is missing or makes no sense: never less strict for want of a number.
risk := fraction("risk", 1)

confidence := fraction("confidence", 0)

# RFC 3339 in UTC to the second, so that texts compare as times do; later than any exception ends where there is none.
asked_at := found if {
	found := text(environment_part, "time")
	is_time(found)
} else := "9999"

# Hour and minute, e.g. "07:30"; "" where no time is given.
default clock := ""

clock := substring(asked_at, 11, 5) if asked_at != "9999"

is_time(candidate) := regex.match(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`, candidate)

# What is wrong with the question.
# Serves NIST SP 800-207 tenet 1 (everything is a resource): what is not known as one is refused, not waved through.
problems contains "input.version" if object.get(question, "version", 0) != input_version

problems contains "input.subject" if object.get(entity_kinds, entity_kind, false) == false

problems contains "input.subject" if entity_id == ""

problems contains "input.resource" if object.get(config.matrix, [resource_kind, sensitivity], false) == false

problems contains "input.action" if action == ""

problems contains "input.risk" if object.get(risk_states, risk_state, false) == false

# A score that is not there at all, or not from 0 to 1.
problems contains "input.risk" if {
	scored
	min([fraction("risk", -1), fraction("confidence", -1)]) < 0
}

default scored := false

scored if risk_state in {"known", "stale"}
