package t
default a := 1
a := 2 if input.b[_] == 3
b contains x if { some x in input.b; not x == 2 }
c[k] := v if some k, v in input.a
d[k].e contains v if { some k, v in input.a }
d.x.e contains 1
f(x) := y if { y := x + 1 } else := 0
g := [f(x) | some x in b]
h if every x in input.b { x != null }
