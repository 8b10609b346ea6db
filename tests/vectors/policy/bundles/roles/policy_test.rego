package ostiary.testing

asked(identity, action, route) := {"subject": {"identity": identity}, "action": action, "resource": {"name": route}}

test_readers_read if {
	found := data.ostiary.decision with input as asked("bob", "GET", "/shop/cart")
	found.verdict == "allow"
}

test_readers_do_not_write if {
	found := data.ostiary.decision with input as asked("bob", "POST", "/shop/cart")
	found.verdict == "deny"
}
