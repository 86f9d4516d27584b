package t
import data.u as w
p := 1
f(x) := x
---
package u
q if data.t.p
---
x := p; y = f(x); some z in [w.q, 1]; walk(input, [a, b])
