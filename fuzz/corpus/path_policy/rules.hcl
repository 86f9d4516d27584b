# an application
path "transit/encrypt/app-*" { capabilities = ["update"] }
path "/transit/keys/app" { capabilities = ["read", "deny"], comment = "c" }
path "+/keys/x*" { policy = "write" }
/* twice */ path "transit/+/y" { capabilities = ["create", ] }
// the same
path "transit/+/y" { capabilities = ["sudo"] }
