"""Runs in the guest before the snapshot: the common schemes choose their backends, so that a first use is quick."""

import passlib.hash

CHEAP = {
    "argon2": {"rounds": 1, "memory_cost": 64, "parallelism": 2},
    "bcrypt": {"rounds": 4},
    "bcrypt_sha256": {"rounds": 4},
    "des_crypt": {},
    "django_pbkdf2_sha256": {"rounds": 1},
    "ldap_salted_sha512": {},
    "md5_crypt": {},
    "pbkdf2_sha256": {"rounds": 1},
    "pbkdf2_sha512": {"rounds": 1},
    "scrypt": {"rounds": 4},
    "sha1_crypt": {"rounds": 1},
    "sha256_crypt": {"rounds": 1000},
    "sha512_crypt": {"rounds": 1000},
}

for name, settings in CHEAP.items():
    handler = getattr(passlib.hash, name)
    if not getattr(handler, "has_backend", lambda: True)():
        continue
    handler = handler.using(**settings)
    for _ in range(10):
        # In two steps: the first call of all replaces the methods of the class.
        stored = handler.hash("password")
        handler.verify("password", stored)
