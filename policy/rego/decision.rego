# The decision: the strictest of what the rules propose, softened only by exceptions that the operator wrote down.
#
# A decision is {verdict, reasons: [{code, text}], obligations, ttl_s}. Texts name nobody: reasons may be shown and kept.
package ostiary

import data.ostiary.config

verdicts := ["allow", "throttle", "step_up", "deny", "isolate"]

severity := {"allow": 0, "throttle": 1, "step_up": 2, "deny": 3, "isolate": 4}

# An unknown word for a verdict counts as deny.
rank_of(verdict) := object.get(severity, verdict, severity.deny)

# What counts: a question that cannot be read is refused for that alone, and no exception helps it.
# Serves NIST SP 800-207 tenet 1.
counting := {{"code": code, "verdict": "deny"} | some code in problems} if {
	count(problems) > 0
} else := settled if {
	count(asking) > 0
	stepped_up
} else := proposals

asking := {proposal | some proposal in proposals; proposal.verdict == "step_up"}

# NIST SP 800-207 tenet 6: whoever proved themselves anew is not asked to again for a while; what denies still denies.
settled contains {"code": "identity.stepped-up", "verdict": "allow"}

settled contains {"code": proposal.code, "verdict": "allow"} if some proposal in asking

settled contains proposal if {
	some proposal in proposals
	proposal.verdict != "step_up"
}

strictest := max([rank_of(proposal.verdict) | some proposal in counting])

# Exceptions that make a difference: those that allow more than the strictest proposal does.
softening := {cap |
	count(problems) == 0
	some cap in caps
	rank_of(cap.verdict) < strictest
}

final_rank := min(array.concat([strictest], [rank_of(cap.verdict) | some cap in softening]))

# NIST SP 800-207 tenet 7: what decided is told, the weightiest first, so that it can be learnt from.
reasons := array.concat(
	[reason(cap.code) | some cap in softening],
	[reason(proposal.code) |
		some level in [4, 3, 2, 1, 0]
		some proposal in counting
		rank_of(proposal.verdict) == level
	],
)

reason(code) := {"code": code, "text": object.get(config.texts, code, code)}

# NIST SP 800-207 tenet 2: what is sensitive is not left behind in caches on the way.
extra_obligations contains config.sensitive_obligations if {
	resource_kind == "http"
	sensitivity == "sensitive"
}

# NIST SP 800-207 tenet 7: emergency access is told to somebody at once.
extra_obligations contains {"notify": true, "audit": "break_glass"} if {
	some cap in softening
	cap.code == "exception.break-glass"
}

verdict := verdicts[final_rank]

obligations := object.union_n(array.concat(
	[object.get(config.obligations, verdict, {})],
	[extra | some extra in extra_obligations],
))

# NIST SP 800-207 tenet 3: a decision holds for a while and for one subject.
ttl_s := object.get(config.ttl_s, verdict, 0)

default decision := {
	"verdict": "deny",
	"reasons": [{"code": "policy.undefined", "text": "The policy has no answer to this question."}],
	"obligations": {},
	"ttl_s": 0,
}

# METADATA
# description: NIST SP 800-207 tenet 6 - each access is decided anew, from what is known now.
# entrypoint: true
decision := {
	"verdict": verdict,
	"reasons": reasons,
	"obligations": obligations,
	"ttl_s": ttl_s,
}
