# === upper, strip and split
words = "  alpha beta\tgamma \n".split()
return [{"word": w, "upper": w.upper(), "length": len(w)} for w in words]
# === string.Template and capwords
import string
t = string.Template("$who owes $$${amount}")
return [{"text": t.substitute(who="Ann", amount=n), "caps": string.capwords("hello wide  world")} for n in (1, 2)]
# === unicode: case folding, combining marks, width
rows = []
for s in ["Straße", "ΑΣ", "e\u0301", "İ", "日本語", "👩‍👩‍👧"]:
    rows.append({"s": s, "fold": s.casefold(), "lower": s.lower(), "len": len(s), "bytes": len(s.encode()), "ascii": ascii(s), "id": s.isidentifier()})
return rows
# === f-strings and format mini language
x = 1234567.891
return [{"a": f"{x:,.2f}", "b": f"{x:e}", "c": f"{x:>20.1f}", "d": f"{255:#x} {255:08b}", "e": f"{'mid':^9}|", "f": f"{x!r:.5}", "g": "%05d %-5s| %.3g" % (42, "ab", x)}]
# === multi-line strings keep their lines
text = """first
    second
third"""
return [{"line": i, "text": t} for i, t in enumerate(text.split("\n"))]
# === bytes, base64 in four alphabets
import base64
raw = bytes(range(0, 256, 7))
return [{"b64": base64.b64encode(raw).decode(), "url": base64.urlsafe_b64encode(raw).decode(), "b32": base64.b32encode(raw).decode(), "a85": base64.a85encode(raw).decode(), "back": base64.b64decode(base64.b64encode(raw)) == raw, "raw": raw}]
# === pandas string accessor
import pandas as pd
s = pd.Series(["Ann Lee", "bob  o'neil", None, "Čenda Žák"])
out = pd.DataFrame({"s": s, "title": s.str.title(), "first": s.str.split().str[0], "n": s.str.len(), "has": s.str.contains("o", na=False), "ext": s.str.extract(r"(\w+)$")[0]})
return out.to_dict("records")
# === io.StringIO and csv through pandas
import io
import pandas as pd
text = "id;name;price\n1;Žluťoučký;1,5\n2;\"a;b\";2,25\n3;;\n"
return pd.read_csv(io.StringIO(text), sep=";", decimal=",").to_dict("records")
# === text to table and back
import io
import pandas as pd
df = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y, z", 'q"q'], "c": [0.1, 1e-9, 123456789.123]})
buffer = io.StringIO()
df.to_csv(buffer, index=False)
return [{"csv": buffer.getvalue(), "string": df.to_string(), "html": df.to_html()}]
# === xml: etree through the package
from xml import etree
import xml
root = None
from io import StringIO
import pandas as pd
doc = "<data><row><a>1</a><b>x</b></row><row><a>2</a><b>y</b></row></data>"
return [{"name": xml.__name__, "etree": etree.__name__}]
# === str methods sweep
s = "The quick brown fox"
return [{"partition": list(s.partition(" ")), "rpartition": list(s.rpartition(" ")), "zfill": "7".zfill(4), "translate": s.translate({ord("q"): "Q", ord("x"): None}), "expand": "a\tb".expandtabs(4), "swap": s.swapcase(), "count": s.count("o"), "rfind": s.rfind("o"), "removeprefix": s.removeprefix("The ")}]
