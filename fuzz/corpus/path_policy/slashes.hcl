path "*" { capabilities = ["deny","read"] }
path "*" { capabilities = ["list"] }
path "//*" {}