# Separation of duties: nobody decides on what is their own, and nobody holds two duties that control each other.
package ostiary

import data.ostiary.config

# NIST SP 800-207 tenet 3: access is granted for one task, with the least that it needs; approving one's own is none.
proposals contains {"code": "duties.own", "verdict": "deny"} if {
	identity != ""
	identity == owner
	some duty in config.duties.not_by_owner
	startswith(resource_name, duty.resource)
	action in duty.actions
}

# NIST SP 800-207 tenet 3: two duties in one hand are more than any task needs.
proposals contains {"code": "duties.conflict", "verdict": "deny"} if {
	some pair in config.duties.apart
	startswith(resource_name, pair.resource)
	every group in pair.groups {
		group in groups
	}
}
