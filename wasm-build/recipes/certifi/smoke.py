"""The certificates are a file in the image, and ssl can load it."""

import ssl

import certifi

with open(certifi.where(), encoding="ascii") as file:
    assert file.read().count("BEGIN CERTIFICATE") > 100
context = ssl.create_default_context(cafile=certifi.where())
assert context.cert_store_stats()["x509_ca"] > 100
