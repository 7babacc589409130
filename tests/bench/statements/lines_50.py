import json
from datetime import datetime

DEFAULT_CURRENCY = "EUR"
RATES = {"EUR": 1.0, "CZK": 0.0405, "USD": 0.92}
CITIES = {"brno": "Brno", "oslo": "Oslo", "wien": "Wien"}


def clean(text):
    return " ".join(text.split()).strip() if isinstance(text, str) else ""


def amount_of(row):
    text = str(row.get("amount", "0")).replace(" ", "").replace(",", ".")
    try:
        return round(float(text), 2)
    except ValueError:
        log.debug(f"no amount: {text}")
        return None


def day_of(row):
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"):
        try:
            return datetime.strptime(row["day"], form).date()
        except (KeyError, ValueError):
            continue
    return None


def tags_of(row):
    raw = row.get("tags") or "[]"
    tags = json.loads(raw) if isinstance(raw, str) else raw
    return sorted({clean(tag).lower() for tag in tags if tag})


orders = []
for row in INPUT_DATA or []:
    amount = amount_of(row)
    if amount is None or amount < 0:
        log.debug("skipped")
        continue
    currency = clean(row.get("currency")).upper() or DEFAULT_CURRENCY
    order = {"id": int(row["id"]), "city": CITIES.get(clean(row.get("city")).lower(), "")}
    order["amount"] = round(amount * RATES.get(currency, 1.0), 2)
    order["day"] = day_of(row)
    order["tags"] = ",".join(tags_of(row))
    orders.append(order)

return orders
