# === json: separators, sorting, escapes, big numbers
import json
v = {"b": [1, 2.5, None, True], "a": "ž\u2028\"\\", "n": 2**70, "f": 1e22}
return [{"d": json.dumps(v), "s": json.dumps(v, sort_keys=True, ensure_ascii=False, separators=(",", ":")), "i": json.dumps(v, indent=1), "back": json.loads(json.dumps(v)) == v}]
# === json: errors say where
import json
rows = []
for bad in ['{"a": }', "[1, 2", '"\\x"', "nul", '{"a":1}x']:
    try:
        json.loads(bad)
    except json.JSONDecodeError as e:
        rows.append({"bad": bad, "msg": e.msg, "pos": e.pos, "line": e.lineno})
return rows
# === yaml load: types, anchors, multi documents
import yaml
text = """
base: &b {x: 1, y: [a, b]}
copy:
  <<: *b
  z: 0o17
dates: [2024-01-02, 2024-01-02 03:04:05]
bools: [yes, off, ~, 1_000, 0x1F, 1.5e3, .inf]
text: |
  two
  lines
"""
doc = yaml.safe_load(text)
doc["bools"] = [str(b) for b in doc["bools"]]
return [doc] + list(yaml.safe_load_all("---\na: 1\n---\nb: 2\n"))
# === yaml dump
import yaml
v = {"name": "Žofie", "list": [1, 2.5, None, True], "nested": {"a": "multi\nline", "b": ""}, "date": __import__("datetime").date(2024, 1, 2)}
return [{"block": yaml.safe_dump(v, allow_unicode=True), "flow": yaml.dump(v, default_flow_style=True, sort_keys=False), "back": yaml.safe_load(yaml.safe_dump(v)) == v}]
# === yaml errors have a mark
import yaml
rows = []
for bad in ["a: [1, 2", "a: b: c", "\tx: 1", "*nope"]:
    try:
        yaml.safe_load(bad)
    except yaml.YAMLError as e:
        rows.append({"bad": bad, "type": type(e).__name__, "line": e.problem_mark.line, "column": e.problem_mark.column})
return rows
# === deepdiff: changed, added, removed
from deepdiff import DeepDiff
a = {"x": 1, "list": [1, 2, {"k": "v"}], "gone": True}
b = {"x": 2, "list": [1, 3, {"k": "w"}, 4], "new": None}
d = DeepDiff(a, b)
return [{"tree": d.to_json(), "pretty": d.pretty().split("\n"), "affected": sorted(d.affected_paths)}]
# === deepdiff: ignore order, types, exclusions
from deepdiff import DeepDiff
return [{"order": DeepDiff([1, 2, 3], [3, 2, 1], ignore_order=True).to_json(), "num": DeepDiff({"a": 1}, {"a": 1.0}, ignore_numeric_type_changes=True).to_json(), "ex": DeepDiff({"a": 1, "b": 2}, {"a": 1, "b": 3}, exclude_paths=["root['b']"]).to_json(), "sig": DeepDiff(1.123456, 1.123457, significant_digits=4).to_json()}]
# === deepdiff: search, hash and delta
import deepdiff
o = {"a": [{"needle": 1}, "hay needle"], "b": "x"}
h = deepdiff.DeepHash(o)[o]
t = deepdiff.Delta(deepdiff.DeepDiff({"a": 1}, {"a": 2}))
return [{"search": {k: [str(i) for i in v] for k, v in deepdiff.DeepSearch(o, "needle").items()}, "hash": h, "delta": {"a": 1} + t}]
# === jose: JWT with HMAC
from jose import jwt
claims = {"sub": "42", "name": "Ann", "iat": 1700000000}
rows = []
for alg in ("HS256", "HS384", "HS512"):
    token = jwt.encode(claims, "secret", algorithm=alg)
    rows.append({"alg": alg, "token": token, "claims": jwt.decode(token, "secret", algorithms=[alg], options={"verify_iat": False}), "head": jwt.get_unverified_header(token)})
return rows
# === jose: wrong key, wrong algorithm, expired
from jose import jwt
import jose
token = jwt.encode({"exp": 1000}, "k", algorithm="HS256")
rows = []
for key, algs in (("k", ["HS256"]), ("other", ["HS256"]), ("k", ["HS512"])):
    try:
        jwt.decode(token, key, algorithms=algs)
    except jose.JOSEError as e:
        rows.append({"type": type(e).__name__, "message": str(e)})
return rows
# === jose: JWS, JWK and utilities
from jose import jws, jwk
import jose.utils
import jose.constants
signed = jws.sign({"a": 1}, "secret", algorithm="HS256")
key = jwk.construct("secret", algorithm="HS256")
return [{"signed": signed, "payload": jws.verify(signed, "secret", "HS256").decode(), "key": {k: (v.decode() if isinstance(v, bytes) else v) for k, v in key.to_dict().items()}, "b64": jose.utils.base64url_encode(b"\xff\xfe").decode(), "algs": sorted(jose.constants.ALGORITHMS.HMAC)}]
# === passlib: known vectors
from passlib.hash import pbkdf2_sha256, sha256_crypt, sha512_crypt, md5_crypt, ldap_salted_sha1, nthash, apr_md5_crypt
return [{"pbkdf2": pbkdf2_sha256.using(rounds=1000, salt=b"0123456789abcdef").hash("pw"), "sha256": sha256_crypt.using(rounds=1000, salt="saltstring").hash("pw"), "sha512": sha512_crypt.using(rounds=1000, salt="saltstring").hash("pw"), "md5": md5_crypt.using(salt="abcdefgh").hash("pw"), "ldap": ldap_salted_sha1.using(salt=b"abcd1234").hash("pw"), "nt": nthash.hash("pw"), "apr": apr_md5_crypt.using(salt="abcdefgh").hash("pw")}]
# === passlib: verify and identify
from passlib.hash import pbkdf2_sha512, sha512_crypt, hex_sha256, plaintext
h = sha512_crypt.using(rounds=1000).hash("pässword")
return [{"ok": sha512_crypt.verify("pässword", h), "bad": sha512_crypt.verify("x", h), "id": sha512_crypt.identify(h), "other": pbkdf2_sha512.identify(h), "hex": hex_sha256.hash("a"), "plain": plaintext.verify("a", "a")}]

# === compressed files, whole, in lines and by lengths beyond 2**31
import io
import pandas as pd
import warnings

load = warnings.sys.modules["importlib"].import_module
data = b"line of text\n" * 5_000
rows = []

def add(case, function):
    try:
        value = function()
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
    rows.append({"case": case, "value": value})

for name in ("lzma", "bz2", "gzip"):
    module = load(name)
    packed = io.BytesIO()
    with module.open(packed, "wb") as file:
        file.write(data)
    for length in (None, -1, 0, 5):
        add(f"{name} read {length}", lambda: len(module.open(io.BytesIO(packed.getvalue())).read(length)))
    add(f"{name} read", lambda: module.open(io.BytesIO(packed.getvalue())).read() == data)
    add(f"{name} lines", lambda: len(module.open(io.BytesIO(packed.getvalue())).readlines()))
    add(f"{name} seek", lambda: module.open(io.BytesIO(packed.getvalue())).seek(0, 2))
for name in ("LZMADecompressor", "BZ2Decompressor"):
    module = load("lzma" if name[0] == "L" else "bz2")
    for length in (-1, 0, 2**31, 2**40, 2**63):
        add(f"{name} {length}", lambda: len(getattr(module, name)().decompress(module.compress(data), length)))
frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
for compression in ("xz", "bz2", "gzip", "zip", "tar"):
    for kind in ("csv", "json", "pickle"):
        def there_and_back():
            packed = io.BytesIO()
            getattr(frame, f"to_{kind}")(packed, compression=compression)
            return getattr(pd, f"read_{kind}")(io.BytesIO(packed.getvalue()), compression=compression).to_dict("list")
        add(f"pandas {kind} {compression}", there_and_back)
return rows
