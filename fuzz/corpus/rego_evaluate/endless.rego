package t
a := [x + y | some x in numbers.range(1, 1000); some y in numbers.range(1, 1000)]
