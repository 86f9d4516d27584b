package t
p[x] { x := input.a[_] }
q[x] = y { y := input.a[x] }
r { input.a } { input.b }
s = y { y := x; x = 1 } else = 2 { any([true]) }
