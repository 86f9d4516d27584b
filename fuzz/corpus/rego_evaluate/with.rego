package t
a := [x | some i in [1, 2]; x := b with input.a as i with data.base.x as [i]]
b := [input.a, data.base.x, data.t.own, count(input.b)]
c := b with count as 7 with data.t.own as 5
d := {data.t.b[_] with input as input.b, 1}
e := f(1) with f as g
f(x) := x
g(x) := f(x) + 10
