# Who may do what. Lethe asks `data.lethe.authz.allow` about every request; what is not
# allowed here is refused.
#
# Input, set by Lethe from what was proven, never taken from the request:
#
#	{"principal": "spiffe://example.org/loader", "tenant": "acme", "action": "decrypt",
#	 "resource": {"path": "models/llama", "tenant": "acme"}}
#
# Data:
#
#	{"roles": {"loader": {"actions": ["decrypt"], "resources": ["models/*"]}},
#	 "role_bindings": {"spiffe://example.org/loader": ["loader"]},
#	 "suspended": {"spiffe://example.org/other": true}}
#
# A role covers resources of the principal's own tenant, unless it says "any_tenant": true.
package lethe.authz

allow := {"allowed": false, "reason": "the principal is suspended"} if {
	suspended
} else := {"allowed": true, "reason": reason} if {
	count(granting) > 0
	reason := sprintf("granted by role %s", [concat(", ", granting)])
} else := {"allowed": false, "reason": "no role of the principal allows it"}

# Whatever stands there suspends, but for false.
suspended if data.suspended[input.principal]

granting contains name if {
	some name in data.role_bindings[input.principal]
	role := data.roles[name]
	input.action in role.actions
	some pattern in role.resources
	glob.match(pattern, ["/"], input.resource.path)
	covers_tenant(role)
}

covers_tenant(_) if input.resource.tenant == input.tenant

covers_tenant(role) if role.any_tenant == true
