"""argon2's own interface: hash, verify, and the errors that its documentation promises."""

import argon2

hasher = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=4)
stored = hasher.hash("geheim")
assert stored.startswith("$argon2id$v=19$m=1024,t=1,p=4$")
assert hasher.verify(stored, "geheim")
assert stored != hasher.hash("geheim")
assert not hasher.check_needs_rehash(stored)
assert argon2.PasswordHasher().check_needs_rehash(stored)
for text, password, expected in (
    (stored, "anders", argon2.exceptions.VerifyMismatchError),
    ("nonsense", "geheim", argon2.exceptions.InvalidHashError),
    ("$argon2id$nonsense", "geheim", argon2.exceptions.VerificationError),
):
    try:
        hasher.verify(text, password)
    except expected:
        pass
    else:
        raise AssertionError(text)
