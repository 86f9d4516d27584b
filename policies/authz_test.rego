package lethe.authz_test

import data.lethe.authz

roles := {
	"loader": {"actions": ["decrypt"], "resources": ["models/*"]},
	"auditor": {"actions": ["read"], "resources": ["audit", "models/**"], "any_tenant": true},
}

bindings := {
	"spiffe://example.org/loader": ["loader"],
	"spiffe://example.org/auditor": ["auditor"],
	"spiffe://example.org/both": ["loader", "auditor", "no-such-role"],
}

request(principal, action, path) := {
	"principal": principal,
	"tenant": "acme",
	"action": action,
	"resource": {"path": path, "tenant": "acme"},
}

decide(given) := answer if {
	answer := authz.allow with input as given
		with data.roles as roles
		with data.role_bindings as bindings
		with data.suspended as {"spiffe://example.org/gone": true}
}

loading := request("spiffe://example.org/loader", "decrypt", "models/llama")

test_a_role_allows_what_it_names if {
	decide(loading) == {"allowed": true, "reason": "granted by role loader"}
}

test_the_reason_names_every_role_that_grants if {
	widened := object.union(roles, {"auditor": {"actions": ["decrypt"], "resources": ["**"]}})
	given := request("spiffe://example.org/both", "decrypt", "models/llama")
	answer := authz.allow with input as given
		with data.roles as widened
		with data.role_bindings as bindings
	answer == {"allowed": true, "reason": "granted by role auditor, loader"}
}

test_another_action_is_refused if {
	not decide(request("spiffe://example.org/loader", "destroy", "models/llama")).allowed
}

test_another_resource_is_refused if {
	not decide(request("spiffe://example.org/loader", "decrypt", "keys/llama")).allowed
	not decide(request("spiffe://example.org/loader", "decrypt", "models/llama/shards")).allowed
}

test_somebody_unknown_is_refused if {
	decide(request("spiffe://example.org/nobody", "decrypt", "models/llama")) == {
		"allowed": false,
		"reason": "no role of the principal allows it",
	}
}

test_another_tenant_is_refused if {
	given := json.patch(loading, [{"op": "replace", "path": "/resource/tenant", "value": "other"}])
	not decide(given).allowed
}

test_a_role_for_any_tenant_covers_others if {
	given := {
		"principal": "spiffe://example.org/auditor",
		"tenant": "acme",
		"action": "read",
		"resource": {"path": "models/llama/manifest", "tenant": "other"},
	}
	decide(given).allowed
}

test_only_true_makes_a_role_one_for_any_tenant if {
	given := {
		"principal": "spiffe://example.org/auditor",
		"tenant": "acme",
		"action": "read",
		"resource": {"path": "audit", "tenant": "other"},
	}
	every word in ["yes", 1, [], null] {
		answer := authz.allow with input as given
			with data.roles as json.patch(roles, [{"op": "replace", "path": "/auditor/any_tenant", "value": word}])
			with data.role_bindings as bindings
		not answer.allowed
	}
}

test_no_tenant_on_either_side_is_no_match if {
	given := json.remove(loading, ["/tenant", "/resource/tenant"])
	not decide(given).allowed
}

test_suspension_wins if {
	decision := authz.allow with input as loading
		with data.roles as roles
		with data.role_bindings as bindings
		with data.suspended as {"spiffe://example.org/loader": true}
	decision == {"allowed": false, "reason": "the principal is suspended"}
}

test_whatever_stands_there_suspends_but_for_false if {
	every word in [true, "until 2031-01-01", 0, null, []] {
		decision := authz.allow with input as loading
			with data.roles as roles
			with data.role_bindings as bindings
			with data.suspended as {"spiffe://example.org/loader": word}
		decision.reason == "the principal is suspended"
	}
	decision := authz.allow with input as loading
		with data.roles as roles
		with data.role_bindings as bindings
		with data.suspended as {"spiffe://example.org/loader": false}
	decision.allowed
}

test_without_data_nothing_is_allowed if {
	not authz.allow.allowed with input as loading
}

test_without_any_part_of_the_input_nothing_is_allowed if {
	every part in ["principal", "tenant", "action", "resource"] {
		not decide(object.remove(loading, [part])).allowed
	}
}
