package t
p := p
q if { x := 1; x := 2; y > 1 }
r := 1
r contains 2
f(x) := f(x, 1)
s if input with foo as 1
