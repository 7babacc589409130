# === classes, dataclass-like objects and operators
class Money:
    def __init__(self, cents):
        self.cents = cents
    def __add__(self, other):
        return Money(self.cents + other.cents)
    def __eq__(self, other):
        return self.cents == other.cents
    def __repr__(self):
        return f"Money({self.cents})"
    @property
    def euros(self):
        return self.cents / 100
total = sum([Money(150), Money(275)], Money(0))
return [{"repr": repr(total), "euros": total.euros, "eq": total == Money(425)}]
# === match statement
def kind(v):
    match v:
        case {"type": "point", "x": x, "y": y}:
            return f"point {x},{y}"
        case [first, *rest]:
            return f"list {first} +{len(rest)}"
        case int() | float() as n if n > 10:
            return f"big {n}"
        case None:
            return "none"
        case _:
            return "other"
return [{"k": kind(v)} for v in ({"type": "point", "x": 1, "y": 2}, [1, 2, 3], 42, 3, None, "s")]
# === generators, closures, nonlocal, recursion
def counter():
    n = 0
    def step():
        nonlocal n
        n += 1
        return n
    return step
def walk(tree):
    for node in tree:
        if isinstance(node, list):
            yield from walk(node)
        else:
            yield node
c = counter()
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
return [{"steps": [c(), c(), c()], "flat": list(walk([1, [2, [3, [4]], 5]])), "fib": [fib(n) for n in range(15)]}]
# === comprehensions and scoping
n = 3
table = {x: {y: x * y for y in range(n)} for x in range(n)}
squares = [(lambda i=i: i * i)() for i in range(5)]
return [{"table": {str(k): {str(a): b for a, b in v.items()} for k, v in table.items()}, "squares": squares, "set": sorted({x % 3 for x in range(10)}), "walrus": [y for x in range(5) if (y := x * 2) > 3]}]
# === exceptions: chaining, finally, groups
rows = []
try:
    try:
        1 / 0
    except ZeroDivisionError as e:
        raise ValueError("bad") from e
    finally:
        rows.append({"step": "finally"})
except ValueError as e:
    rows.append({"step": repr(e), "cause": repr(e.__cause__)})
try:
    raise ExceptionGroup("g", [ValueError(1), TypeError("t")])
except* ValueError as g:
    rows.append({"step": str(g.exceptions)})
except* TypeError as g:
    rows.append({"step": repr(g.exceptions[0])})
return rows
# === async: await, gather order, async generators and context managers
async def double(x):
    await sleep(0.001 * (3 - x))
    return x * 2
async def numbers():
    for i in range(3):
        await sleep(0)
        yield i
class Span:
    async def __aenter__(self):
        return "in"
    async def __aexit__(self, *exc):
        return False
out = [await double(x) for x in range(3)]
async with Span() as s:
    out.append(s)
out += [i async for i in numbers()]
return [{"out": out}]
# === decorators, exec and names with underscores
def twice(f):
    def inner(*args, **kwargs):
        return f(*args, **kwargs) * 2
    return inner
@twice
def _private__name(a, /, b, *, c=1):
    return a + b + c
scope = {}
exec("def made(x):\n    return x + 1", scope)
return [{"v": _private__name(1, b=2, c=3), "made": scope["made"](41), "eval": eval("1 + 2 * 3")}];
# === sorting: stability, keys, mixed
data = [("b", 2), ("a", 2), ("c", 1)]
return [{"s": [list(t) for t in sorted(data, key=lambda t: t[1])], "r": [list(t) for t in sorted(data, key=lambda t: (-t[1], t[0]))], "max": max(data, key=lambda t: t[0])[0], "zip": [list(z) for z in zip("ab", [1, 2], strict=True)]}]
# === slots, metaclass, descriptors
class Meta(type):
    def __new__(mcs, name, bases, ns):
        ns["tag"] = name.lower()
        return super().__new__(mcs, name, bases, ns)
class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name
    def __get__(self, obj, owner):
        return getattr(obj, self.name)
    def __set__(self, obj, value):
        if value < 0:
            raise ValueError(f"{self.name} must not be negative")
        setattr(obj, self.name, value)
class Thing(metaclass=Meta):
    __slots__ = ("_size",)
    size = Positive()
t = Thing()
t.size = 4
try:
    t.size = -1
except ValueError as e:
    message = str(e)
return [{"tag": Thing.tag, "size": t.size, "message": message}]
# === several waits at once
order = []
async def work(name, seconds):
    await sleep(seconds)
    order.append(name)
    return name
results = await gather(work("slow", 0.06), work("fast", 0), gather(work("inner", 0.03)), *[work(n, 0) for n in "xy"])
try:
    await gather(work("never", 0.5), work(1, "no number"))
except (TypeError, ValueError) as error:
    failed = type(error).__name__
return [{"results": results, "order": order, "failed": failed, "none": await gather()}]
