package t
p := [a, b] if {
 a := [y | y = input.a[_]]
 b := {y | y = input.b[_]}
}
