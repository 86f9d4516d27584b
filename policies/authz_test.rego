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

# ---- path policies, in the form that Lethe makes of HCL ----

path_policies := {
	"exact": {"exact": {"models/llama": {"can": {"update": true}}}, "prefixes": [], "segments": []},
	"prefix": {
		"exact": {},
		"prefixes": [
			{"prefix": "models/", "rank": "1", "can": {"read": true, "update": true}},
			{"prefix": "models/s", "rank": "2", "can": {"read": true, "sudo": true}},
		],
		"segments": [],
	},
	"deny": {
		"exact": {},
		"prefixes": [{"prefix": "models/", "rank": "1", "can": {"deny": true}}],
		"segments": [],
	},
	"segment": {
		"exact": {},
		"prefixes": [],
		"segments": [
			{"count": 2, "literals": [[1, "llama"]], "rank": "0", "can": {"delete": true}},
			{"count": 3, "literals": [[0, "logs"]], "tail": "x", "rank": "1", "can": {"delete": true}},
		],
	},
}

asking(names, capability, path) := object.union(request("token:x", "decrypt", path), {
	"token_policies": names,
	"capability": capability,
	"sudo": false,
	"admin": false,
})

by_path(given) := answer if {
	answer := authz.allow with input as given
		with data.path_policies as path_policies
		with data.roles as roles
		with data.role_bindings as {"token:x": ["loader"], "token:y": ["auditor"]}
}

test_a_path_policy_allows_what_it_says if {
	by_path(asking(["exact"], "update", "models/llama")) == {
		"allowed": true,
		"reason": "granted by a path policy",
	}
	not by_path(asking(["exact"], "read", "models/llama/x")).allowed
	not by_path(asking(["exact"], "update", "models/llama/x")).allowed
	not by_path(asking(["unknown"], "update", "keys/llama")).allowed
	not by_path(asking([], "update", "keys/llama")).allowed
}

test_only_the_most_specific_path_counts if {
	by_path(asking(["prefix"], "update", "models/llama/x")).allowed
	by_path(asking(["prefix"], "read", "models/s/x")).allowed
	not by_path(asking(["prefix"], "update", "models/s/x")).allowed
}

test_deny_overrides_roles_and_other_policies_for_the_same_path if {
	refused := {"allowed": false, "reason": "a policy of the principal denies it"}
	by_path(asking(["deny"], "update", "models/llama")) == refused
	by_path(asking(["prefix", "deny"], "read", "models/llama")) == refused
	not by_path(asking(["prefix", "deny"], "delete", "models/s/x")).reason == refused.reason
}

test_segments if {
	by_path(asking(["segment"], "delete", "other/llama")).allowed
	by_path(asking(["segment"], "delete", "logs/any/xyz")).allowed
	by_path(asking(["segment"], "delete", "logs/any/x/y")).allowed
	not by_path(asking(["segment"], "delete", "logs/any/y")).allowed
	not by_path(asking(["segment"], "delete", "logs/any")).allowed
	not by_path(asking(["segment"], "delete", "other/x/llama")).allowed
}

test_sudo_is_asked_for_separately if {
	with_sudo := object.union(asking(["prefix"], "read", "models/s/x"), {"sudo": true})
	without := object.union(asking(["prefix"], "read", "models/x/y"), {"sudo": true})
	by_path(with_sudo).allowed
	not by_path(without).allowed
	every word in ["false", 0, null] {
		not by_path(object.union(without, {"sudo": word})).allowed
	}
}

test_root_may_everything_but_reach_another_tenant if {
	root := asking(["default", "root"], "update", "sys/seal")
	by_path(root) == {"allowed": true, "reason": "granted by policy root"}
	not by_path(json.patch(root, [{"op": "replace", "path": "/resource/tenant", "value": "b"}])).allowed
	by_path(json.patch(root, [{"op": "replace", "path": "/tenant", "value": ""}])).allowed
}

test_an_operator_is_true_and_nothing_else if {
	every word in ["true", 1, {}, false, null] {
		not by_path(object.union(asking([], "update", "x"), {"admin": word})).allowed
	}
	by_path(object.union(asking([], "update", "x"), {"admin": true})).allowed
}

test_path_policies_stay_within_the_tenant_and_roles_may_go_beyond if {
	other := [{"op": "replace", "path": "/resource/tenant", "value": "other"}]
	not by_path(json.patch(asking(["prefix"], "update", "models/llama/x"), other)).allowed
	reading := object.union(asking(["prefix"], "read", "models/x"), {"principal": "token:y", "action": "read"})
	by_path(json.patch(reading, other)) == {"allowed": true, "reason": "granted by role auditor"}
}
