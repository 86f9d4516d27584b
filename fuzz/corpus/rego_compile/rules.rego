package t
p := 1
q contains x if some x in input.a
r[x].y := z if some x, z in input.b
f(a, [b, 1]) := a + b
default f(_, _) := 0
e := 1 if p else := 2 if q
s.t.u := f(1, [2, 1])
