"""python-jose on cryptography: signatures, encryption and keys as its documentation promises, and clear errors."""

from typing import Any

import pytest
from tests.crypto_keys import pem

import wasmexec

KEYS = {name: pem(name) for name in ("rsa", "rsa.public", "rsa.pkcs1", "rsa.encrypted", "ec", "ec.public", "ec.cert")}

# RFC 7515, appendices A.1 to A.3.
PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RS256_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"
    "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
    "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ"
    "Ge77Rw"
)
ES256_SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

# Made by the same versions of python-jose and cryptography on native CPython, for the keys above and for range(32).
SEALED = {
    "rsa": (
        "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.CnYOsYNzmI77m_-GUWaCmQkfKKQS4Z7ndPnSfsFYrxlAR5wOJd0dSODLRQgNAkeG"
        "UDwIu_WMA8wxROtF7nZqAH1FeUTWXrKCVch6Xs1ftBTg10_mXxlIWlhQ8_W5ijnn848LgZpjTTCVh2zDim3JVUefyy3Ha9RxfL8hfDqY-f3zbWX8"
        "XIJWqvmVySqUDYRTeJbu_2jt6R5tn7qAKQJsqMU10zDW3JETOujSep9ch1P_xH8yE89x_2Yxb_Lx8JEgiPzJlLU-KwHXVHwgWGy0U1kDaRzKF6MJ"
        "f8JBnyhDXF2EqUTH1QVh8VPUvF8MbPaCbA5LZCf196EkVYUPMHqEnA.z25ezTtjkEfn7GWZ9p5K9g.o5vkbrT-eUO8YpIDWQ6HiWFbRc1cEw.6Nr"
        "1MD57ahR6NFiABlsplg"
    ),
    "rsa.pkcs1": (
        "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.FUAnk0l5uGxFEUagfj2nQVjWIHGOQJJ0-qN_Bn4J2r7nxkNL5n1q"
        "MrVjLzjoIqsqvvYfZTMpB-8fL6oN63q8N7FLQp6Ga3oGeZwhXZ6EzyP0uf-sP7jaLILWNUpGGxRpAK3Ff_inH7fao_3eKIjsvg_w9DD_Ja_3T0Op"
        "hiccgbBj_dMBuHhLO4YatSZa4bfSgNvQ_2hT8wWwmxBbkV59tepRf1ZAclj3BwAnnWlq1Phly7cv2U_7n0h-4LPPib3IkP0bqNwC_WoxVmC-_YJh"
        "uSQjUU6TYh39kt72H6H94cLWbmCU63ZVTnDYmS9tfoqNH36QatZBvnuijjGfNwvTUw.ZspKCkpaob2tY9q1idBbNw.jXcYAX0CaybYgoHmIMKED"
        "DnJst_T8b1k9uD-zwFhD_M.7YVkMNBtCVp326u3IbS-Vg"
    ),
    "symmetric": (
        "eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIn0.h7FXijThvbdE8R9d0vdRUAax3jCw9AU-9x31zBtudgJpChS9a4BeFA.wsjfXnBWQKro8"
        "ToEHdFYsg.78oWrPc7bAkELpClROSuxCytlZHvWg.lV0mBt2b3AhvFTFTE5Ky-w"
    ),
}


def rows(executor: wasmexec.Executor, statement: str, **data: Any) -> list[dict[str, Any]]:
    result = executor.run(statement, input_data=[{"keys": KEYS, **data}])
    result.raise_for_status()
    found: list[dict[str, Any]] = result.rows
    return found


def test_jose_selects_cryptography_for_every_kind_of_key(executor: wasmexec.Executor) -> None:
    statement = """
from jose.backends import AESKey, ECKey, HMACKey, RSAKey
return [{"kinds": [kind.__name__ for kind in (RSAKey, ECKey, AESKey, HMACKey)]}]
"""
    assert rows(executor, statement)[0]["kinds"] == [
        "CryptographyRSAKey",
        "CryptographyECKey",
        "CryptographyAESKey",
        "CryptographyHMACKey",
    ]


def test_the_signed_examples_of_rfc_7515_are_verified(executor: wasmexec.Executor) -> None:
    statement = """
from jose import jws
job = INPUT_DATA[0]
tokens = {"RS256": "eyJhbGciOiJSUzI1NiJ9.", "ES256": "eyJhbGciOiJFUzI1NiJ9."}
found = []
for algorithm, key in (("RS256", "rsa.public"), ("ES256", "ec.public")):
    token = tokens[algorithm] + job["payload"] + "." + job[algorithm]
    found.append({"text": jws.verify(token, job["keys"][key], algorithm).decode()})
return found
"""
    found = rows(executor, statement, payload=PAYLOAD, RS256=RS256_SIGNATURE, ES256=ES256_SIGNATURE)
    assert [row["text"] for row in found] == [
        '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
    ] * 2


def test_every_algorithm_signs_verifies_and_refuses(executor: wasmexec.Executor) -> None:
    statement = """
from jose import jwt, JWTError
keys = INPUT_DATA[0]["keys"]
rows = []
for algorithm in ("RS256", "RS384", "RS512"):
    for private in ("rsa", "rsa.pkcs1"):
        rows.append([algorithm, keys[private], keys["rsa.public"]])
rows.append(["ES256", keys["ec"], keys["ec.public"]])
rows += [[algorithm, "secret", "secret"] for algorithm in ("HS256", "HS384", "HS512")]
found = []
for algorithm, private, public in rows:
    token = jwt.encode({"sub": "me"}, private, algorithm=algorithm)
    claims = jwt.decode(token, public, algorithms=[algorithm])
    head, body, signature = token.split(".")
    try:
        jwt.decode(f"{head}.{body[:-1]}A.{signature}", public, algorithms=[algorithm])
        refused = None
    except JWTError as error:
        refused = str(error)
    found.append({"algorithm": algorithm, "claims": claims, "refused": refused})
return found
"""
    found = rows(executor, statement)
    assert {row["algorithm"] for row in found} == {
        "RS256", "RS384", "RS512", "ES256", "HS256", "HS384", "HS512",
    }  # fmt: skip
    assert all(row["claims"] == {"sub": "me"} for row in found)
    assert {row["refused"] for row in found} == {"Signature verification failed."}


def test_texts_sealed_natively_are_opened(executor: wasmexec.Executor) -> None:
    statement = """
from jose import jwe
job = INPUT_DATA[0]
found = []
for name, text in job["sealed"].items():
    key = job["keys"].get(name, bytes(range(32)))
    found.append({"name": name, "text": jwe.decrypt(text, key).decode()})
return found
"""
    found = rows(executor, statement, sealed=SEALED)
    assert {row["name"]: row["text"] for row in found} == dict.fromkeys(SEALED, "Live long and prosper.")


def test_every_way_of_sealing_is_opened_again_and_a_changed_text_is_refused(executor: wasmexec.Executor) -> None:
    statement = """
import jose
from jose import jwe
keys = INPUT_DATA[0]["keys"]
found = []
for encryption in ("A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"):
    size = int(encryption[1:4]) // (4 if "CBC" in encryption else 8)
    wraps = {"A128KW": bytes(16), "A192KW": bytes(24), "A256KW": bytes(32), "dir": bytes(size)}
    for algorithm in ("RSA-OAEP", "RSA-OAEP-256", "RSA1_5", *wraps):
        public, private = (wraps[algorithm],) * 2 if algorithm in wraps else (keys["rsa.public"], keys["rsa"])
        text = jwe.encrypt(b"secret", public, algorithm=algorithm, encryption=encryption, zip="DEF")
        head, wrapped, iv, sealed, tag = text.split(b".")
        changed = b".".join((head, wrapped, iv, (b"A" if sealed[:1] != b"A" else b"B") + sealed[1:], tag))
        try:
            jwe.decrypt(changed, private)
            refused = None
        except jose.exceptions.JWEError as error:
            refused = type(error).__name__
        opened = jwe.decrypt(text, private).decode()
        found.append({"way": f"{algorithm} {encryption}", "text": opened, "refused": refused})
return found
"""
    found = rows(executor, statement)
    assert len({row["way"] for row in found}) == 7 * 6
    assert {row["text"] for row in found} == {"secret"}
    assert {row["refused"] for row in found} == {"JWEError"}


def test_keys_turn_into_jwk_and_back(executor: wasmexec.Executor) -> None:
    statement = """
from jose import jwk, jws
keys = INPUT_DATA[0]["keys"]
found = []
for name, algorithm in (("rsa", "RS256"), ("rsa.public", "RS256"), ("ec", "ES256"), ("ec.public", "ES256")):
    key = jwk.construct(keys[name], algorithm)
    numbers = {k: v.decode() if isinstance(v, bytes) else v for k, v in key.to_dict().items()}
    again = jwk.construct(numbers)
    public = again.public_key().to_pem().decode()
    found.append({"name": name, "names": sorted(numbers), "same": again.to_dict() == key.to_dict(),
                  "public": public == keys[name.split(".")[0] + ".public"], "n": numbers.get("n", numbers.get("x"))})
return found
"""
    found = rows(executor, statement)
    assert [row["names"] for row in found] == [
        ["alg", "d", "dp", "dq", "e", "kty", "n", "p", "q", "qi"],
        ["alg", "e", "kty", "n"],
        ["alg", "crv", "d", "kty", "x", "y"],
        ["alg", "crv", "kty", "x", "y"],
    ]
    assert all(row["same"] and row["public"] for row in found)
    assert found[2]["n"] == "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
    assert found[0]["n"].startswith("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp")


UNREADABLE = (
    "Could not deserialize key data. The data may be in an incorrect format or it may be encrypted with an "
    "unsupported algorithm."
)


@pytest.mark.parametrize(
    ("key", "algorithm", "message"),
    [
        ('"nonsense"', "RS256", UNREADABLE),
        ('"nonsense"', "ES256", UNREADABLE),
        ('keys["rsa"].replace("MIIE", "MIIF", 1)', "RS256", UNREADABLE),
        ('keys["rsa.encrypted"]', "RS256", "Password was not given but private key is encrypted"),
        ('keys["ec.public"]', "ES256", "'_EllipticCurvePublicKey' object has no attribute 'sign'"),
        ('{"kty": "oct", "k": "AA"}', "RS256", "Incorrect key type. Expected: 'RSA', Received: oct"),
        ('{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQ", "p": "Aw"}', "RS256", "parameters are incomplete."),
        ('{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}', "ES256", "Invalid EC key."),
        ("12", "RS256", "Unable to parse an RSA_JWK from key: 12"),
        ('keys["ec"]', "ES384", "this curve (secp256r1) is too short for your digest (384)"),
        ('keys["rsa"]', "PS256", "Algorithm PS256 not supported."),
    ],
)
def test_a_key_in_the_wrong_format_meets_a_clear_error(
    executor: wasmexec.Executor, key: str, algorithm: str, message: str
) -> None:
    statement = f"""
from jose import jwt
keys = INPUT_DATA[0]["keys"]
jwt.encode({{"sub": "me"}}, {key}, algorithm="{algorithm}")
return []
"""
    result = executor.run(statement, input_data=[{"keys": KEYS}])
    assert result.status == wasmexec.Status.STATEMENT_RAISED
    assert message in str(result.error)


def test_a_ps256_token_can_be_made_with_what_jose_hands_out(executor: wasmexec.Executor) -> None:
    """python-jose 3.3.0 does not know the name; the padding and the hash are in its backend."""
    statement = """
from jose import backends, jwk, utils
crypto = backends.cryptography_backend
pss = crypto.padding.PSS(mgf=crypto.padding.MGF1(crypto.hashes.SHA256()), salt_length=32)
def encoded(value):
    return utils.base64url_encode(value.encode())
key = jwk.construct(INPUT_DATA[0]["keys"]["rsa"], "RS256")
token = encoded('{"alg":"PS256","typ":"JWT"}') + b"." + encoded('{"sub":"me"}')
signature = key.prepared_key.sign(token, pss, crypto.hashes.SHA256())
public = jwk.construct(INPUT_DATA[0]["keys"]["rsa.public"], "RS256").prepared_key
def holds(content):
    try:
        public.verify(signature, content, pss, crypto.hashes.SHA256())
    except crypto.InvalidSignature:
        return False
    return True
return [{"bytes": len(signature), "right": holds(token), "wrong": holds(token + b"x")}]
"""
    assert rows(executor, statement) == [{"bytes": 256, "right": True, "wrong": False}]


def test_reading_an_rsa_key_costs_about_as_much_as_a_signature(executor: wasmexec.Executor) -> None:
    """With OpenSSL's own 64 rounds for each prime it costs fifty signatures."""
    statement = """
from jose import jwk
job = INPUT_DATA[0]
key = jwk.construct(job["keys"]["rsa"], "RS256")
for _ in range(job["loads"]):
    jwk.construct(job["keys"]["rsa"], "RS256")
for _ in range(job["signatures"]):
    key.sign(b"x")
return []
"""

    def cpu_seconds(**counts: int) -> float:
        result = executor.run(statement, input_data=[{"keys": KEYS, "loads": 0, "signatures": 0, **counts}])
        result.raise_for_status()
        return result.usage.cpu_seconds

    nothing = cpu_seconds()
    load = (cpu_seconds(loads=20) - nothing) / 20
    signature = (cpu_seconds(signatures=20) - nothing) / 20
    assert load < 10 * signature, (load, signature)


def test_nothing_random_repeats_in_another_execution(executor: wasmexec.Executor) -> None:
    statement = """
from jose import jwe, jwk, jws
keys = INPUT_DATA[0]["keys"]
sealed = jwe.encrypt(b"x", bytes(32), algorithm="dir", encryption="A256GCM").decode()
return [{"sealed": sealed, "es256": jws.sign(b"x", keys["ec"], algorithm="ES256")}]
"""
    drawn = [rows(executor, statement)[0] for _ in range(4)]
    assert len({row["sealed"] for row in drawn}) == len({row["es256"] for row in drawn}) == 4
