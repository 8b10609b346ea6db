# Who asks, from what device, and whether that is enough for this resource.
package ostiary.identity

import data.ostiary.config
import data.ostiary.request

proven if request.proof in config.identity.proofs_for_sensitive_http

proofs contains request.proof if proven

# NIST SP 800-207 tenet 6: authentication comes before access. Only HTTP can be challenged; a connection seen on the
# network proves no identity, so asking one of it would shut out everybody.
proposals contains {"code": "identity.unproven", "verdict": config.identity.without_proof} if {
	request.kind == "http"
	request.sensitivity == "sensitive"
	count(proofs) == 0
}

# NIST SP 800-207 tenet 5: the posture of the device counts. An unknown device is not held to be unmanaged.
proposals contains {"code": "device.unmanaged", "verdict": verdict} if {
	request.sensitivity == "sensitive"
	request.device == "unmanaged"
	verdict := object.get(config.identity.unmanaged_device, request.kind, "deny")
}
