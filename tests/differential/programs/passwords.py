# === passlib: every scheme with a fixed salt
import passlib.hash
password, rows = "pässwörd", []
for name in dir(passlib.hash):
    if name.startswith("_") or name in ("django_disabled", "unix_fallback"):
        continue
    handler = getattr(passlib.hash, name)
    kinds = getattr(handler, "setting_kwds", ())
    context = {word: "admin" for word in getattr(handler, "context_kwds", ()) if word in ("user", "realm")}
    settings = {}
    if "argon2" in name:
        settings = {"memory_cost": 64, "time_cost": 2, "parallelism": 2}
    elif "rounds" in kinds:
        settings["rounds"] = max(handler.min_rounds, 1)
    if name == "cisco_type7":
        settings["salt"] = 7
    elif "bcrypt" in name:
        settings["salt"] = "abcdefghijklmnopqrstuu"
    elif "salt" in kinds:
        size = getattr(handler, "default_salt_size", None) or getattr(handler, "max_salt_size", None) or 8
        chars = getattr(handler, "default_salt_chars", None)
        text = isinstance(chars, str)
        settings["salt"] = "".join(chars[(i * 7 + 1) % len(chars)] for i in range(size)) if text else bytes(range(65, 65 + size))
    stored = (handler.using(**settings) if settings else handler).hash(password, **context)
    rows.append({"name": name, "stored": stored, "right": handler.verify(password, stored, **context), "wrong": handler.verify("password", stored, **context)})
return rows
# === passlib: argon2 in its three kinds and sizes
from passlib.hash import argon2
rows = []
for kind in ("i", "d", "id"):
    for memory, time, lanes in ((8, 1, 1), (64, 3, 4), (1024, 2, 3)):
        stored = argon2.using(type=kind, memory_cost=memory, time_cost=time, parallelism=lanes, salt=b"0123456789abcdef", digest_size=24).hash("secret")
        rows.append({"stored": stored, "right": argon2.verify("secret", stored), "stale": argon2.needs_update(stored)})
return rows
# === passlib: bcrypt with long, empty and odd passwords, in each variant
from passlib.hash import bcrypt, bcrypt_sha256
rows = []
for ident in ("2a", "2b", "2y"):
    for password in ("", "a", "x" * 72, "x" * 73, "ÿ\x80ž", b"\xff\xa3"):
        rows.append({"stored": bcrypt.using(ident=ident, rounds=4, salt="CCCCCCCCCCCCCCCCCCCCC.").hash(password)})
rows.append({"stored": bcrypt_sha256.using(rounds=4, salt="CCCCCCCCCCCCCCCCCCCCC.").hash("x" * 100)})
return rows
# === passlib: what is wrong with a hash
from passlib.hash import argon2, bcrypt, ldap_salted_sha1, scrypt, sha512_crypt
rows = []
for handler in (argon2, bcrypt, ldap_salted_sha1, scrypt, sha512_crypt):
    for stored in ("", "nonsense", "$2b$04$abc", "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "$6$rounds=1$x$y", "$scrypt$ln=40,r=8,p=1$YWJj$YWJj", "{SSHA}AAAA"):
        try:
            rows.append({"name": handler.name, "stored": stored, "outcome": str(handler.verify("x", stored))})
        except Exception as error:
            rows.append({"name": handler.name, "stored": stored, "outcome": f"{type(error).__name__}: {error}"})
return rows
