package t
p if { y = x + 1; [x, z] = w; w = input.a; not y == z; every v in u { v > x }; u = input.b; {k: 1} = w; k = u[_] }
