# Who may lend memory to whom, and how much. Lethe asks `data.lethe.pool.allow` before it places
# a lease.
#
# Input, set by Lethe from what was proven:
#
#	{"provider": {"id": "spiffe://example.org/node-7", "lent_bytes": 0},
#	 "consumer": {"id": "spiffe://example.org/loader", "tenant": "acme", "held_bytes": 0},
#	 "bytes": 1073741824}
#
# Data:
#
#	{"pool": {"providers": {"spiffe://example.org/node-7": {"tenants": ["acme"], "max_bytes": 8589934592}},
#	          "consumers": {"spiffe://example.org/loader": {"max_bytes": 4294967296}}}}
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
