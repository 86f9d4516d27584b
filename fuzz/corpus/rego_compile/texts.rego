package t
p := $"a {input.b} {{1}} {x} " if { x := input.a[[i, 1]]; print(x, i) }
