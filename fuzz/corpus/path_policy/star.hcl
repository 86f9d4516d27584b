path "a/+/+/b*" {
 capabilities = ["read"]
}
path "a/**" {}