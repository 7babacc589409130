import itertools
import json
import math
from datetime import date, datetime, timedelta

DEFAULT_CURRENCY = "EUR"
RATES = {"EUR": 1.0, "CZK": 0.0405, "USD": 0.92, "GBP": 1.17, "PLN": 0.23}
COUNTRIES = {"CZ": "Czechia", "AT": "Austria", "NO": "Norway", "SK": "Slovakia", "PL": "Poland"}
VAT = {"CZ": 0.21, "AT": 0.20, "NO": 0.25, "SK": 0.20, "PL": 0.23}
DAY_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d")
OPEN, PAID, LATE, CANCELLED = "open", "paid", "late", "cancelled"


class Problem(Exception):
    """A row that cannot be used; the text goes to the log."""

    def __init__(self, field, text):
        super().__init__(f"{field}: {text}")
        self.field = field


class Money:
    """An amount in one currency, to the cent."""

    def __init__(self, amount, currency=DEFAULT_CURRENCY):
        self.amount = round(amount, 2)
        self.currency = currency

    def __add__(self, other):
        if other.currency != self.currency:
            other = other.to(self.currency)
        return Money(self.amount + other.amount, self.currency)

    def __mul__(self, factor):
        return Money(self.amount * factor, self.currency)

    def to(self, currency):
        if currency not in RATES:
            raise Problem("currency", f"unknown: {currency}")
        return Money(self.amount * RATES[self.currency] / RATES[currency], currency)

    def __repr__(self):
        return f"{self.amount:.2f} {self.currency}"


def clean(text):
    if text is None:
        return ""
    return " ".join(str(text).split())


def number(row, field, default=None):
    text = clean(row.get(field)).replace(" ", "").replace(",", ".")
    if not text:
        if default is None:
            raise Problem(field, "missing")
        return default
    try:
        value = float(text)
    except ValueError:
        raise Problem(field, f"no number: {text}") from None
    if not math.isfinite(value):
        raise Problem(field, "not finite")
    return value


def day(row, field):
    text = clean(row.get(field))
    for form in DAY_FORMATS:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise Problem(field, f"no date: {text}")


def country(row):
    code = clean(row.get("country")).upper()[:2]
    if code not in COUNTRIES:
        raise Problem("country", f"unknown: {code}")
    return code


def lines_of(row):
    raw = row.get("lines") or []
    if isinstance(raw, str):
        raw = json.loads(raw)
    for position, line in enumerate(raw, 1):
        quantity = number(line, "quantity", 1.0)
        price = Money(number(line, "price"), clean(line.get("currency")) or DEFAULT_CURRENCY)
        discount = number(line, "discount", 0.0)
        if not 0 <= discount < 1:
            raise Problem("discount", f"line {position}: {discount}")
        yield {
            "position": position,
            "sku": clean(line.get("sku")).upper(),
            "quantity": quantity,
            "total": price.to(DEFAULT_CURRENCY) * quantity * (1 - discount),
        }


def status_of(order, today):
    if order.get("cancelled"):
        return CANCELLED
    if order["paid"] >= order["gross"] - 0.005:
        return PAID
    return LATE if order["due"] < today else OPEN


def order_of(row):
    code = country(row)
    lines = list(lines_of(row))
    net = sum((line["total"] for line in lines), Money(0.0))
    ordered = day(row, "ordered")
    terms = int(number(row, "terms", 14.0))
    order = {
        "id": int(number(row, "id")),
        "customer": clean(row.get("customer")).title(),
        "country": COUNTRIES[code],
        "ordered": ordered,
        "due": ordered + timedelta(days=terms),
        "lines": len(lines),
        "net": net.amount,
        "vat": round(net.amount * VAT[code], 2),
        "cancelled": bool(row.get("cancelled")),
        "paid": number(row, "paid", 0.0),
    }
    order["gross"] = round(order["net"] + order["vat"], 2)
    return order


def grouped(orders, field):
    ordered = sorted(orders, key=lambda order: order[field])
    for value, members in itertools.groupby(ordered, key=lambda order: order[field]):
        yield value, list(members)


def summary(name, orders):
    gross = [order["gross"] for order in orders]
    mean = sum(gross) / len(gross)
    variance = sum((value - mean) ** 2 for value in gross) / len(gross)
    return {
        "name": name,
        "orders": len(orders),
        "gross": round(sum(gross), 2),
        "mean": round(mean, 2),
        "deviation": round(math.sqrt(variance), 2),
        "late": sum(order["status"] == LATE for order in orders),
    }


def best(orders, count=3):
    """The customers with the highest gross amounts, the highest first."""
    ranked = sorted(orders, key=lambda order: (-order["gross"], order["customer"]))
    return [order["customer"] for order in ranked[:count]]


def text_of(order):
    parts = [str(order["id"]), order["customer"], order["status"]]
    if order["status"] == LATE:
        parts.append(f"since {order['due'].isoformat()}")
    return " / ".join(parts)


today = date(2026, 11, 1)
if DATA_CHECKPOINT:
    today = date.fromisoformat(DATA_CHECKPOINT)

orders = []
problems = []
for row in INPUT_DATA or []:
    try:
        order = order_of(row)
    except Problem as problem:
        problems.append({"id": row.get("id"), "field": problem.field, "text": str(problem)})
        continue
    order["status"] = status_of(order, today)
    orders.append(order)

for problem in problems:
    log.debug(f"{problem['id']}: {problem['text']}")

output = []
for name, members in grouped(orders, "country"):
    output.append(summary(name, members))
for order in orders:
    if order["status"] == LATE and not order["cancelled"]:
        log.debug(text_of(order))

total = sum(row["gross"] for row in output)
names = best(orders)
log.debug(f"best: {', '.join(names)}")
for row in output:
    row["share"] = round(row["gross"] / total, 4) if total else 0.0
    if row["late"]:
        row["note"] = f"{row['late']} of {row['orders']} late"
    else:
        row["note"] = None

return output
