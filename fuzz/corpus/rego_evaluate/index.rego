package t
a := 1 if input.a.b[0] == 1
a := 1 if input.a.c == 2
a := 1 if input.a.c == 3
a := 1 if input.a.c == null
a := 1 if input.a.c == [1]
s contains 1 if input.b
s contains 2
s contains 3
s contains 4 if false
s contains x if some x in input.b
t := [s[1], s[4], s["a"]]
