# Roles and grants: who holds a role that grants the action on the route.
package ostiary

import data.ostiary.grants
import data.ostiary.users

default identity := ""

identity := object.get(input, ["subject", "identity"], "") if is_object(input)

default action := ""

action := upper(object.get(input, ["action"], "")) if is_object(input)

default route := ""

route := object.get(input, ["resource", "name"], "") if is_object(input)

held := {role | some role in object.get(users, identity, [])}

granting contains role if {
	some role in held
	some grant in object.get(grants, role, [])
	action in grant.actions
	startswith(route, grant.prefix)
}

granting contains "anybody" if input.resource.sensitivity == "public"

default verdict := "deny"

verdict := "allow" if count(granting) > 0

reasons := [{"code": sprintf("role.%s", [role]), "text": "A role grants it."} | some role in granting]

decision := {"verdict": verdict, "reasons": reasons, "obligations": {"roles": count(held)}, "ttl_s": 10}
