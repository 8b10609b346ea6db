# Who asks, from what device, and whether that is enough for this resource.
package ostiary

import data.ostiary.config

default proven := false

proven if proof in config.identity.proofs_for_sensitive_http

# NIST SP 800-207 tenet 6: authentication comes before access. Only HTTP can be challenged; a connection seen on the
# network proves no identity, so asking one of it would shut out everybody.
proposals contains {"code": "identity.unproven", "verdict": config.identity.without_proof} if {
	resource_kind == "http"
	sensitivity == "sensitive"
	not proven
}

# NIST SP 800-207 tenet 5: the posture of the device counts. An unknown device is not held to be unmanaged.
proposals contains {"code": "device.unmanaged", "verdict": stricter} if {
	sensitivity == "sensitive"
	device == "unmanaged"
	stricter := object.get(config.identity.unmanaged_device, resource_kind, "deny")
}

# NIST SP 800-207 tenet 5: so does how it is kept.
proposals contains {"code": "device.poor", "verdict": stricter} if {
	sensitivity == "sensitive"
	posture == "poor"
	stricter := object.get(config.identity.unmanaged_device, resource_kind, "deny")
}

# NIST SP 800-207 tenet 5: so does what others say of the risk of who asks, or of their device.
proposals contains {"code": "identity.told-risky", "verdict": stricter} if {
	resource_kind == "http"
	sensitivity != "public"
	stricter := object.get(config.identity.told_risk, told_risk, "allow")
	stricter != "allow"
}

default stepped_up := false

stepped_up if {
	stepped_up_age_s >= 0
	stepped_up_age_s <= config.identity.stepped_up_s
}

# NIST SP 800-207 tenet 3: a session does not last for ever. Only HTTP can be asked to begin another.
proposals contains {"code": "session.old", "verdict": config.session.old} if {
	resource_kind == "http"
	session_age_s > object.get(config.session.at_most_s, sensitivity, 1000000000)
}
