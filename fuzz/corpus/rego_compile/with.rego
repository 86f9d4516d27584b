package t
p if { count(x) == y with input.a as z with count as f; x = input.a; z = input.b; y = 1 }
f(x) := 1
q if p with data.k as [x | x := input.c[_]]
