# Who may do what. Lethe asks `data.lethe.authz.allow` about every request; what is not
# allowed here is refused.
#
# Input, set by Lethe from what was proven; nothing of it comes from the request but what is
# asked for:
#
#	{"principal": "spiffe://example.org/loader", "method": "token", "tenant": "acme",
#	 "token_policies": ["default", "loader"], "admin": false, "action": "decrypt",
#	 "capability": "update", "sudo": false, "purpose": "", "source": "192.0.2.7",
#	 "resource": {"path": "transit/decrypt/llama", "tenant": "acme", "model": "", "tier": ""},
#	 "time": 1790000000}
#
# `admin` is true for operators on the service's own machine only. Data:
#
#	{"roles": {"loader": {"actions": ["decrypt"], "resources": ["transit/decrypt/*"]}},
#	 "role_bindings": {"spiffe://example.org/loader": ["loader"]},
#	 "suspended": {"spiffe://example.org/other": true},
#	 "path_policies": {"loader": {"exact": {...}, "prefixes": [...], "segments": [...]}}}
#
# Roles or path policies allow; being suspended, and `deny` of a path policy, override both. Both
# are about resources of the principal's own tenant, but for a role with "any_tenant": true.
#
# Path policies are those of HashiCorp Vault, as Lethe has read them: of all rules of the
# principal's policies that cover the path only the most specific one counts, together with those
# of other policies for the very same path. Ranks compare as texts; the greater is more specific.
package lethe.authz

allow := {"allowed": true, "reason": "an operator on this machine"} if {
	input.admin == true
} else := {"allowed": false, "reason": "the principal is suspended"} if {
	suspended
} else := {"allowed": true, "reason": "granted by policy root"} if {
	"root" in input.token_policies
	own_tenant
} else := {"allowed": false, "reason": "a policy of the principal denies it"} if {
	some rule in rules
	rule.can.deny == true
} else := {"allowed": true, "reason": reason} if {
	some rule in rules
	rule.can[input.capability] == true
	sudo_if_asked
	own_tenant
	reason := "granted by a path policy"
} else := {"allowed": true, "reason": reason} if {
	count(granting) > 0
	reason := sprintf("granted by role %s", [concat(", ", granting)])
} else := {"allowed": false, "reason": "no role of the principal allows it"}

# Whatever stands there suspends, but for false.
suspended if data.suspended[input.principal]

# Who belongs to a tenant reaches nothing of another one.
own_tenant if input.resource.tenant == input.tenant

own_tenant if input.resource.tenant == ""

own_tenant if input.tenant == ""

# ---- path policies ----

sudo_if_asked if input.sudo == false

sudo_if_asked if {
	some rule in rules
	rule.can.sudo == true
}

# Lists are asked for with and without a slash at the end; policies are written either way.
paths := [input.resource.path, concat("", [input.resource.path, "/"])] if {
	input.capability == "list"
} else := [input.resource.path]

exact := [rule |
	some name in input.token_policies
	some path in paths
	rule := data.path_policies[name].exact[path]
]

covering := array.concat(by_prefix, by_segments) if {
	count(by_segments) > 0
} else := by_prefix

by_prefix := [rule |
	some name in input.token_policies
	some rule in data.path_policies[name].prefixes
	some path in paths
	startswith(path, rule.prefix)
]

by_segments := [rule |
	some name in input.token_policies
	some rule in data.path_policies[name].segments
	some path in paths
	parts := split(path, "/")
	reaches(rule, parts)
	every literal in rule.literals { parts[literal[0]] == literal[1] }
]

reaches(rule, parts) if {
	not rule.tail
	count(parts) == rule.count
}

reaches(rule, parts) if startswith(parts[rule.count - 1], rule.tail)

rules := exact if {
	count(exact) > 0
} else := covering if {
	count(covering) < 2
} else := [rule | some rule in covering; rule.rank == best]

best := max([rule.rank | some rule in covering])

# ---- roles ----

granting contains name if {
	some name in data.role_bindings[input.principal]
	role := data.roles[name]
	input.action in role.actions
	some pattern in role.resources
	glob.match(pattern, ["/"], input.resource.path)
	covers_tenant(role)
}

covers_tenant(_) if input.resource.tenant == input.tenant

covers_tenant(_) if input.resource.tenant == ""

covers_tenant(role) if role.any_tenant == true
