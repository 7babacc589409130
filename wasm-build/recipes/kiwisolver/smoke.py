"""kiwisolver solves, prefers the stronger constraint, edits a variable, and says why it cannot."""

import gc

import kiwisolver

left, right = kiwisolver.Variable("left"), kiwisolver.Variable("right")
solver = kiwisolver.Solver()
solver.addConstraint(left >= 10)
solver.addConstraint((right == left + 20) | "strong")
solver.addConstraint((right == 100) | "weak")
solver.updateVariables()
assert (left.value(), right.value()) == (80.0, 100.0)
solver.addEditVariable(left, "strong")
solver.suggestValue(left, 15)
solver.updateVariables()
assert (left.value(), right.value()) == (15.0, 35.0)
try:
    solver.addConstraint(left <= 5)
except kiwisolver.UnsatisfiableConstraint:
    pass
else:
    raise AssertionError("a contradiction was accepted")
# What native processors forgive in these functions ends a guest (patches/0001).
constraint = (left + 2 * right >= 1) | "medium"
term = constraint.expression().terms()[0]
assert constraint.op() == ">="
assert constraint.strength() == kiwisolver.strength.medium
assert not constraint.violated()
assert term.coefficient() in (1.0, 2.0)
assert term.variable().name() in ("left", "right")
assert isinstance(term.value() + constraint.expression().value() + constraint.expression().constant(), float)
assert solver.dumps().startswith("Objective")
left.setContext([constraint])
assert left.context()[0] is constraint
del constraint, term, left, right
gc.collect()
