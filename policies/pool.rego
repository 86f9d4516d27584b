# Who may lend memory to whom, and how much. Lethe asks `data.lethe.pool.allow` before it places
# a lease, `data.lethe.pool.join` before a provider may lend at all, and `data.lethe.pool.operate`
# before an operator's wish is followed.
#
# Input, set by Lethe from what was proven:
#
#	{"provider": {"id": "spiffe://example.org/node-7", "lent_bytes": 0},
#	 "consumer": {"id": "spiffe://example.org/loader", "tenant": "acme", "held_bytes": 0},
#	 "bytes": 1073741824}
#
# of `join` {"provider": {"id": ..., "capacity_bytes": 0}}, and of `operate`
#
#	{"operator": {"id": "spiffe://example.org/ops/eva"}, "action": "revoke",
#	 "target": "spiffe://example.org/loader"}
#
# with status, revoke, restore, force_stop, drain or quota as the action, and an identity, a lease
# or a tenant as the target. Data:
#
#	{"pool": {"providers": {"spiffe://example.org/node-7": {"tenants": ["acme"], "max_bytes": 8589934592}},
#	          "consumers": {"spiffe://example.org/loader": {"max_bytes": 4294967296}},
#	          "operators": {"spiffe://example.org/ops/eva": {"may": ["status", "revoke"]}}}}
package lethe.pool

allow := {"allowed": true, "reason": "within what both sides may"} if {
	count(objections) == 0
} else := {"allowed": false, "reason": concat("; ", objections)}

# An objection is that something could not be shown: what is missing or of a wrong type is one.
objections contains "the amount is no positive whole number of bytes" if not amount_is_sound

objections contains "the provider does not lend to this tenant" if not provider_lends_to_tenant

objections contains "the provider would lend more than it may" if not within_provider

objections contains "the consumer would hold more than it may" if not within_consumer

amount_is_sound if is_bytes(input.bytes, 1)

provider_lends_to_tenant if {
	some tenant in data.pool.providers[input.provider.id].tenants
	tenant == input.consumer.tenant
}

within_provider if {
	fits(input.provider.lent_bytes, input.bytes, data.pool.providers[input.provider.id].max_bytes)
}

within_consumer if {
	fits(input.consumer.held_bytes, input.bytes, data.pool.consumers[input.consumer.id].max_bytes)
}

fits(used, more, limit) if {
	is_bytes(used, 0)
	is_bytes(more, 1)
	is_bytes(limit, 0)
	used + more <= limit
}

# Texts are greater than any number: the type comes first.
is_bytes(amount, at_least) if {
	is_number(amount)
	amount >= at_least
	amount == floor(amount)
}

# ---- providers ----

join := {"allowed": true, "reason": "a provider that is known"} if {
	is_bytes(data.pool.providers[input.provider.id].max_bytes, 1)
} else := {"allowed": false, "reason": "no provider that is known"}

# ---- operators ----

operate := {"allowed": true, "reason": "an operator who may"} if {
	some action in data.pool.operators[input.operator.id].may
	action == input.action
	action in {"status", "revoke", "restore", "force_stop", "drain", "quota"}
} else := {"allowed": false, "reason": "no operator who may do this"}
