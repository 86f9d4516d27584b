package lethe.pool_test

import data.lethe.pool

lending := {
	"providers": {"node": {"tenants": ["acme", "widgets"], "max_bytes": 100}},
	"consumers": {"loader": {"max_bytes": 50}},
}

good := {
	"provider": {"id": "node", "lent_bytes": 60},
	"consumer": {"id": "loader", "tenant": "acme", "held_bytes": 10},
	"bytes": 40,
}

decide(given) := answer if {
	answer := pool.allow with input as given with data.pool as lending
}

with_change(path, value) := json.patch(good, [{"op": "replace", "path": path, "value": value}])

test_up_to_both_limits if {
	decide(good) == {"allowed": true, "reason": "within what both sides may"}
}

test_one_byte_more_is_refused_and_says_by_whom if {
	decide(with_change("/bytes", 41)) == {
		"allowed": false,
		"reason": concat("; ", [
			"the consumer would hold more than it may",
			"the provider would lend more than it may",
		]),
	}
	decide(with_change("/provider/lent_bytes", 61)).reason == "the provider would lend more than it may"
	decide(with_change("/consumer/held_bytes", 11)).reason == "the consumer would hold more than it may"
}

test_another_tenant_is_refused if {
	decide(with_change("/consumer/tenant", "other")) == {
		"allowed": false,
		"reason": "the provider does not lend to this tenant",
	}
}

test_somebody_unknown_is_refused if {
	not decide(with_change("/provider/id", "elsewhere")).allowed
	not decide(with_change("/consumer/id", "elsewhere")).allowed
}

test_amounts_are_positive_whole_numbers if {
	every amount in [0, -1, 1.5, "1", null, [], true] {
		not decide(with_change("/bytes", amount)).allowed
	}
	every amount in [-1, 0.5, "0", null] {
		not decide(with_change("/provider/lent_bytes", amount)).allowed
		not decide(with_change("/consumer/held_bytes", amount)).allowed
	}
}

# Nothing can be shown of an amount that is none.
test_an_amount_that_is_none_is_an_objection_of_both_sides_too if {
	every amount in [0, "1"] {
		decide(with_change("/bytes", amount)).reason == concat("; ", [
			"the amount is no positive whole number of bytes",
			"the consumer would hold more than it may",
			"the provider would lend more than it may",
		])
	}
}

# Texts and lists are greater than any number.
test_a_limit_that_is_no_number_allows_nothing if {
	every limit in ["100", [], {}, true, null, -1, 1000.5] {
		every path in ["/providers/node/max_bytes", "/consumers/loader/max_bytes"] {
			changed := json.patch(lending, [{"op": "replace", "path": path, "value": limit}])
			answer := pool.allow with input as good with data.pool as changed
			not answer.allowed
		}
	}
}

test_whatever_is_missing_is_refused if {
	every path in [
		"/provider",
		"/provider/id",
		"/provider/lent_bytes",
		"/consumer",
		"/consumer/id",
		"/consumer/tenant",
		"/consumer/held_bytes",
		"/bytes",
	] {
		not decide(json.remove(good, [path])).allowed
	}
}

test_without_data_nobody_lends if {
	not pool.allow.allowed with input as good
}

# ---- providers ----

joins(id, known) if {
	answer := pool.join with input as {"provider": {"id": id, "capacity_bytes": 1}} with data.pool as known
	answer.allowed
}

test_only_providers_that_are_known_join if {
	joins("node", lending)
	not joins("loader", lending)
	not joins("", lending)
	not joins("node", {})
}

test_a_provider_without_a_sound_limit_does_not_join if {
	every limit in [0, -1, 0.5, "100", null, [], {}] {
		not joins("node", {"providers": {"node": {"tenants": ["acme"], "max_bytes": limit}}})
	}
	not joins("node", {"providers": {"node": {"tenants": ["acme"]}}})
}

# ---- operators ----

operating := {"operators": {
	"eva": {"may": ["status", "revoke"]},
	"odd": {"may": "revoke"},
	"root": {"may": ["everything"]},
}}

may(id, action) if {
	given := {"operator": {"id": id}, "action": action, "target": "node"}
	answer := pool.operate with input as given with data.pool as operating
	answer.allowed
}

test_operators_may_what_their_row_says if {
	may("eva", "status")
	may("eva", "revoke")
	every action in ["restore", "force_stop", "drain", "quota", "", null, "everything"] {
		not may("eva", action)
	}
}

test_who_is_no_operator_may_nothing if {
	every id in ["node", "loader", "", null, "odd", "root"] {
		every action in ["status", "revoke", "restore", "force_stop", "drain", "quota", "everything"] {
			not may(id, action)
		}
	}
}

test_without_data_nobody_operates_or_joins if {
	not pool.operate.allowed with input as {"operator": {"id": "eva"}, "action": "status"}
	not pool.join.allowed with input as {"provider": {"id": "node"}}
	not pool.operate.allowed with input as {}
	not pool.join.allowed with input as {}
}
