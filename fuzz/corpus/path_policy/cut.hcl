path "a
" { capabilities = [