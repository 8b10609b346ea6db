package ostiary.testing

office := [{
	"kind": "http", "sensitivities": ["sensitive"], "days": ["monday", "tuesday"],
	"from": "07:00", "to": "19:00", "closed": "deny",
}]

at(weekday, clock) := object.union(proven(with_resource(question, "http", "sensitive")), {"environment": {
	"weekday": weekday,
	"time": concat("", ["2026-11-24T", clock, ":00Z"]),
}})

from(network, place) := object.union(
	proven(with_resource(question, "http", "sensitive")),
	{"environment": {"network": network, "place": place}},
)

test_without_hours_it_is_always_open if {
	verdict(at("sunday", "03:00")) == "allow"
}

test_hours if {
	every open in [["monday", "07:00"], ["tuesday", "18:59"]] {
		verdict(at(open[0], open[1])) == "allow" with data.ostiary.config.hours as office
	}
	every closed in [["monday", "06:59"], ["monday", "19:00"], ["sunday", "12:00"], ["", "12:00"]] {
		verdict(at(closed[0], closed[1])) == "deny" with data.ostiary.config.hours as office
	}
	codes(at("sunday", "12:00"))[0] == "time.closed" with data.ostiary.config.hours as office
}

test_without_a_time_it_is_closed if {
	timeless := object.union(at("monday", "12:00"), {"environment": {"time": 5}})
	verdict(timeless) == "deny" with data.ostiary.config.hours as office
}

test_hours_are_for_what_they_name if {
	verdict(with_resource(question, "network", "sensitive")) == "allow" with data.ostiary.config.hours as office
}

test_places if {
	expected := {"expected": ["DE", "FR"], "otherwise": "step_up"}
	verdict(from("", "DE")) == "allow" with data.ostiary.config.places as expected
	verdict(from("", "")) == "allow" with data.ostiary.config.places as expected
	codes(from("", "US"))[0] == "place.unexpected" with data.ostiary.config.places as expected
	verdict(from("", "US")) == "allow"
}

test_networks if {
	excluded := {"guests": "deny"}
	verdict(from("guests", "")) == "deny" with data.ostiary.config.networks as excluded
	verdict(from("office", "")) == "allow" with data.ostiary.config.networks as excluded
	verdict(object.union(question, {"environment": {"network": "guests"}})) == "allow" with data.ostiary.config.networks as excluded
}

test_who_goes_on_asking_is_slowed_down if {
	asked := object.union(question, {"history": {"state": "known", "refused": 20}})
	codes(asked) == ["history.refused", "risk.low"]
	verdict(object.union(asked, {"history": {"refused": 10}})) == "allow"
	verdict(object.union(asked, {"history": {"refused": "many"}})) == "allow"
}
