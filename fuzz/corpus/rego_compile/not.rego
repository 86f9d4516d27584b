package t
import future.keywords.not
p if { not count(input.a[_]) > 1; not { x := input.a; x[i] = i } }
