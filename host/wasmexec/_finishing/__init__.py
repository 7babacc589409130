"""From the text that a guest leaves to rows that are accepted: parsed, bounded, checked, filled in.

It is work for one execution like the guest's own: it counts as its processor time, ends at its limits and when it is
cancelled, and stops nobody else. `acceptance` does it, piece by piece; `finisher` decides where: on the execution's
thread, which shares the interpreter's lock with all others, or in a process of ours (`process`, `child`).
"""
