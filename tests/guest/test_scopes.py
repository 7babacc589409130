"""Contract C3: a statement is a function. Where a name means another thing for it, check and run say what to write."""

import pytest

from wasmexec import Executor, StatementRaised, StatementSyntaxError

FRAME = "import pandas as pd\ndf = pd.DataFrame({'x': [1, 2, 3]})\nlimit = 2\n"
GLOBAL = "'count' is a variable of the statement, which is a function: write `nonlocal count`, not `global count`"
QUERY = (
    "the expression sees only variables of the function that it stands in, and 'limit' is none of them: "
    'add the argument `local_dict={"limit": limit}`'
)


def own(name: str, of: str, write: str) -> str:
    return f"{name!r} is assigned in {of}, and so a variable of {of} from its first line on: {write}"


def exec_hint(name: str) -> str:
    return f'in a function exec() makes no variables: write `names = {{}}`, `exec(code, names)`, then `names["{name}"]`'


def sentence(hint: str) -> str:
    return f"{hint[0].upper()}{hint[1:]}"


# Statement, where the check sees it, the hint, and the statement that follows the hint, with its rows.
CERTAIN = [
    ("count = 0\ndef bump():\n    global count\n    count += 1\nbump()\nreturn [{'v': count}]", (3, 5), GLOBAL,
     "count = 0\ndef bump():\n    nonlocal count\n    count += 1\nbump()\nreturn [{'v': count}]", 1),
    ("count = 0\nclass A:\n    def get(self):\n        global count\n        return count\nreturn [{'v': A().get()}]",
     (4, 9), GLOBAL,
     "count = 0\nclass A:\n    def get(self):\n        nonlocal count\n        return count\nreturn [{'v': A().get()}]",
     0),
    ("count = 0\ndef bump():\n    count += 1\nbump()\nreturn [{'v': count}]", (3, 5),
     own("count", "bump()", "write `nonlocal count` first in bump()"),
     "count = 0\ndef bump():\n    nonlocal count\n    count += 1\nbump()\nreturn [{'v': count}]", 1),
    ("total = 0\ndef add(n):\n    for i in range(n):\n        total = total + i\nadd(3)\nreturn [{'v': total}]", (4, 9),
     own("total", "add()", "write `nonlocal total` first in add()"),
     ("total = 0\ndef add(n):\n    nonlocal total\n    for i in range(n):\n        total = total + i\nadd(3)\n"
     "return [{'v': total}]"), 3),
    ("seen = [1]\ndef more():\n    if seen:\n        pass\n    seen = [2]\nmore()\nreturn [{'v': seen}]", (3, 8),
     own("seen", "more()", "write `nonlocal seen` first in more()"),
     ("seen = [1]\ndef more():\n    nonlocal seen\n    if seen:\n        pass\n    seen = [2]\nmore()\n"
     "return [{'v': seen}]"), [2]),
    ("INPUT_DATA = [row for row in INPUT_DATA if row]\nreturn INPUT_DATA", (1, 1),
     own("INPUT_DATA", "the statement", "give the result another name, `new_input_data = ...`"),
     "new_input_data = [row for row in INPUT_DATA if row]\nreturn new_input_data", 1),
    ("for INPUT_DATA in INPUT_DATA:\n    pass\nreturn []", (1, 19),
     own("INPUT_DATA", "the statement", "give the result another name, `new_input_data = ...`"),
     "for row in INPUT_DATA:\n    pass\nreturn [row]", 1),
    ("INPUT_DATA = INPUT_DATA or []\nreturn INPUT_DATA", (1, 1),
     own("INPUT_DATA", "the statement", "give the result another name, `new_input_data = ...`"),
     "new_input_data = INPUT_DATA or []\nreturn new_input_data", 1),
    ("list = list('ab')\nreturn [{'v': list}]", (1, 1),
     own("list", "the statement", "give the result another name, `new_list = ...`"),
     "new_list = list('ab')\nreturn [{'v': new_list}]", ["a", "b"]),
    ("sum += 1\nreturn []", (1, 1), own("sum", "the statement", "give the result another name, `new_sum = ...`"),
     "new_sum = sum([1]) + 1\nreturn [{'v': new_sum}]", 2),
    (FRAME + "def big():\n    return df.query('x > @limit')\nreturn big().to_dict('records')", (5, 12), QUERY,
     FRAME + "def big():\n    return df.query('x > @limit', local_dict={'limit': limit})\n"
     "return [{'v': len(big())}]", 1),
    (FRAME + "f = lambda: df.eval('y = x + @limit')\nreturn f().to_dict('records')", (4, 13), QUERY,
     FRAME + "f = lambda: df.eval('x + @limit', local_dict={'limit': limit})\nreturn [{'v': f().tolist()}]", [3, 4, 5]),
    (FRAME + "return [d.query('x > @limit').to_dict('records')[0] for d in [df]]", (4, 9), QUERY,
     FRAME + "return [{'v': len(d.query('x > @limit', local_dict={'limit': limit}))} for d in [df]]", 1),
    ("exec('y = 1')\nreturn [{'v': y}]", (2, 15), exec_hint("y"),
     "names = {}\nexec('y = 1', names)\nreturn [{'v': names['y']}]", 1),
    ("exec('from math import sqrt')\nreturn [{'v': sqrt(4)}]", (2, 15), exec_hint("sqrt"),
     "names = {}\nexec('from math import sqrt', names)\nreturn [{'v': names['sqrt'](4)}]", 2.0),
    ("exec('def f():\\n    return 5')\ndef g():\n    return f()\nreturn [{'v': g()}]", (3, 12), exec_hint("f"),
     "names = {}\nexec('def f():\\n    return 5', names)\nreturn [{'v': names['f']()}]", 5),
    ("locals()['y'] = 1\nreturn [{'v': y}]", (1, 1),
     "in a function locals() is a copy, and 'y' no variable for being in it: use a dict of your own",
     "own = {}\nown['y'] = 1\nreturn [{'v': own['y']}]", 1),
    ("class A:\n    n = 3\n    xs = [n for _ in range(2)]\nreturn []", (3, 11),
     "'n' is a name of class A, which the comprehension in it does not see: assign it before the class",
     "n = 3\nclass A:\n    xs = [n for _ in range(2)]\nreturn [{'v': A.xs}]", [3, 3]),
    ("class A:\n    n = 3\n    def f(self):\n        return n\nreturn [{'v': A().f()}]", (4, 16),
     "'n' is a name of class A, which its methods do not see: write `A.n`",
     "class A:\n    n = 3\n    def f(self):\n        return A.n\nreturn [{'v': A().f()}]", 3),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "place", "hint", "mended", "value"), CERTAIN)
def test_check_and_run_say_why_and_what_to_write(
    executor: Executor, statement: str, place: tuple[int, int], hint: str, mended: str, value: object
) -> None:
    assert [(problem.rule, problem.line, problem.column, problem.message) for problem in executor.check(statement)] == [
        ("scope", *place, hint)
    ]
    error = executor.run(statement, input_data=[{"v": 1}]).error
    assert isinstance(error, StatementRaised)
    own_message, _, said = error.exception_message.partition(". ")
    assert "not defined" in own_message or "not associated with a value" in own_message
    assert said == sentence(hint)
    assert error.traceback.endswith(f"{error.exception_message}\n")
    assert executor.check(mended) == []
    assert executor.run(mended, input_data=[{"v": 1}]).rows == [{"v": value}]


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("code = 'y = 1'\nexec(code)\nreturn [{'v': y}]", exec_hint("y")),
        (FRAME + "return df.eval('y = x + limit').to_dict('records')", "a variable is written `@limit` in it"),
        ("x = 1\ndel x\nreturn [{'v': x}]", "'x' was deleted with `del`"),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    pass\nreturn [{'v': str(error)}]",
         "an `except ... as error` forgets 'error' at its end: keep it under another name, `problem = error`"),
        ("def show():\n    return later\nshow()\nlater = 2\nreturn []",
         "'later' has no value yet: assign it above the line that calls show()"),
        ("def load():\n    data = 5\nload()\nreturn [{'v': data}]",
         "'data' is a variable of load() alone: return it from there"),
        ("return [{'v': np.pi}]", "write `import numpy as np`"),
        ("return [{'v': plt.plot}]", "write `import matplotlib.pyplot as plt`"),
        ("return [{'v': json.dumps(1)}]", "write `import json`"),
        ("return [{'v': asyncio.sleep(1)}]",
         ("'asyncio' is not among the modules of the list; `await gather(first(), second())` waits for several "
         "coroutines at once, `await sleep(seconds)` for a while")),
        ("async def get():\n    return [1]\nreturn [{'v': x} for x in get()]",
         "a coroutine was not awaited: write `await` before the call that made it"),
        ("async def get():\n    return [1]\nreturn [{'v': get()[0]}]",
         "a coroutine was not awaited: write `await` before the call that made it"),
        ("async def get():\n    return 1\nreturn [{'v': get() + 1}]",
         "a coroutine was not awaited: write `await` before the call that made it"),
        ("async def get():\n    return 1\nreturn [{'v': len(get())}]",
         "a coroutine was not awaited: write `await` before the call that made it"),
        ("import httpx\nclient = httpx.AsyncClient()\nreturn client.get('http://x/').json()",
         "a coroutine was not awaited: write `await` before the call that made it"),
        ("async def gen():\n    yield {'v': 1}\nreturn list(gen())",
         "write `async for`, or `[row async for row in ...]`"),
        ("return await [1]", "it is no coroutine: leave out the `await`"),
        ("async for x in [1]:\n    pass\nreturn []", "write `for` without `async`"),
        ("import httpx\nwith httpx.AsyncClient() as client:\n    pass\nreturn []", "write `async with`"),
        ("async with open('/tmp/x', 'w') as f:\n    pass\nreturn []", "write `with` without `async`"),
    ],
)  # fmt: skip
def test_what_only_the_run_knows_is_said_by_its_error(executor: Executor, statement: str, hint: str) -> None:
    error = executor.run(statement).error
    assert isinstance(error, StatementRaised)
    assert error.exception_message.endswith(f". {sentence(hint)}")
    assert [problem for problem in executor.check(statement) if problem.rule != "scope"] == []


@pytest.mark.parametrize(
    ("statement", "message", "hint"),
    [
        ("from math import *\nreturn [{'v': sqrt(4) * pi}]", "import * only allowed at module level",
         "The statement is a function: write `from math import pi, sqrt`"),
        ("from json import *\nreturn []", "import * only allowed at module level",
         "The statement is a function: write `import json`"),
        ("from numpy.linalg import *\nreturn []", "import * only allowed at module level",
         "The statement is a function, and 'numpy.linalg' is not in the list; write `from numpy import linalg`"),
        ("def f():\n    from itertools import *\n    return list(chain([1], [2]))\nreturn f()",
         "import * only allowed at module level", "The statement is a function: write `from itertools import chain`"),
        ("nonlocal x\nx = 1\nreturn []", "no binding for nonlocal 'x' found",
         "The statement itself is the function: leave `nonlocal x` out"),
        ("def f():\n    nonlocal x\n    x = 1\nreturn []", "no binding for nonlocal 'x' found",
         "Assign 'x' in the statement first, above f()"),
        ("def f():\n    nonlocal INPUT_DATA\n    INPUT_DATA = []\nreturn []",
         "no binding for nonlocal 'INPUT_DATA' found",
         "'INPUT_DATA' is there in every statement, and nobody's variable: use another name"),
        ("def helper():\n    await sleep(1)\nreturn []", "'await' outside async function",
         "Write `async def helper(...)`, and `await helper(...)` where it is called"),
        ("f = lambda: await sleep(0)\nreturn []", "'await' outside async function",
         "A lambda cannot await: write an `async def` instead"),
        ("def helper(c):\n    async with c:\n        pass\nreturn []", "'async with' outside async function",
         "Write `async def helper(...)`, and `await helper(...)` where it is called"),
        ("def helper(c):\n    async for x in c:\n        pass\nreturn []", "'async for' outside async function",
         "Write `async def helper(...)`, and `await helper(...)` where it is called"),
        ("def helper(xs):\n    return [x async for x in xs]\nreturn []",
         "asynchronous comprehension outside of an asynchronous function",
         "Write `async def helper(...)`, and `await helper(...)` where it is called"),
        ("from __future__ import annotations\nreturn []",
         "from __future__ imports must occur at the beginning of the file",
         "The statement is the body of a function: leave it out"),
    ],
)  # fmt: skip
def test_what_python_refuses_in_a_function_comes_with_a_hint(
    executor: Executor, statement: str, message: str, hint: str
) -> None:
    error = executor.run(statement).error
    assert isinstance(error, StatementSyntaxError)
    assert error.message == f"{message}. {hint}"
    assert [problem.message for problem in executor.check(statement) if problem.rule != "import"] == [error.message]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("sleep(1)\nreturn []", "sleep() only makes a coroutine: write `await sleep(...)`"),
        ("gather(sleep(0))\nreturn []", "gather() only makes a coroutine: write `await gather(...)`"),
        ("async def go():\n    pass\ngo()\nreturn []", "go() only makes a coroutine: write `await go(...)`"),
        ("async def go():\n    return []\nreturn go()", "go() only makes a coroutine: write `await go(...)`"),
        ("return await gather([sleep(0)])",
         "gather() takes awaitables one by one, not a list: write `gather(*calls)`"),
        ("return await gather(sleep(n) for n in range(3))",
         "gather() takes awaitables one by one, not a list: write `gather(*calls)`"),
    ],
)  # fmt: skip
def test_coroutines_that_are_certainly_not_awaited_are_found_by_the_check(
    executor: Executor, statement: str, message: str
) -> None:
    assert [(problem.rule, problem.message) for problem in executor.check(statement)] == [("scope", message)]


@pytest.mark.parametrize(
    "statement",
    [
        "count = 0\ndef f():\n    count = 1\n    count += 1\n    return count\nreturn [{'v': f() + count}]",
        "global count\ncount = 0\ndef f():\n    global count\n    count += 1\nf()\nreturn [{'v': count + 1}]",
        "def f():\n    global shared\n    shared = 2\nf()\nreturn [{'v': shared}]",
        "def f(count):\n    count += 1\n    return count\nreturn [{'v': f(1)}]",
        (
            "def outer():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n    inner()\n"
            "    return n + 1\n"
            "return [{'v': outer()}]"
        ),
        (
            "def make():\n    def init():\n        nonlocal n\n        n = 2\n    init()\n    n = n\n    return n\n"
            "return [{'v': make()}]"
        ),
        "rows = [r for r in [2]]\nrows = [r for r in rows]\nreturn [{'v': rows[0]}]",
        "x = [x for x in [2]]\nreturn [{'v': x[0]}]",
        "try:\n    sum = sum + 1\nexcept UnboundLocalError:\n    pass\nreturn [{'v': 2}]",
        "data = 2\ndef f():\n    return data\nreturn [{'v': f()}]",
        "import json\njson = json.loads('2')\nreturn [{'v': json}]",
        "def f(n):\n    return 1 if n < 2 else n * f(n - 1)\nreturn [{'v': f(2)}]",
        "exec('y = 2')\nreturn [{'v': 2}]",
        "y = 0\nexec('y = 1')\nreturn [{'v': y + 2}]",
        "exec('global y\\ny = 2')\ny = 2\nreturn [{'v': y}]",
        "class A:\n    n = 2\n    m = n\n    x = [i for i in range(n)]\nreturn [{'v': A.n}]",
        "n = 2\nclass A:\n    n = 3\n    def f(self):\n        return n\nreturn [{'v': A().f()}]",
        FRAME
        + "def big():\n    lo = limit\n    return df.query('x > @lo and x > @limit')\nreturn [{'v': len(big()) + 1}]",
        FRAME + "return [{'v': len(df.query('x > @limit')) + 1}]",
        "async def go():\n    return 2\ntask = go()\nreturn [{'v': await task}]",
        "def sleep(n):\n    return n\nsleep(1)\nreturn [{'v': sleep(2)}]",
        "async def gen():\n    yield 2\ngen()\nreturn [{'v': x} async for x in gen()]",
        "if __name__ == '__main__':\n    return [{'v': 2}]\nreturn []",
        "match [2]:\n    case [n]:\n        return [{'v': n}]\nreturn []",
        "if (n := 2) and n:\n    return [{'v': n}]\nreturn []",
        "def f():\n    yield from [2]\nreturn [{'v': x} for x in f()]",
        "locals()\nvars()\nclass A:\n    locals()['v'] = 2\nreturn [{'v': A.v}]",
    ],
)
def test_what_works_is_not_complained_of(executor: Executor, statement: str) -> None:
    assert executor.check(statement) == []
    assert executor.run(statement).rows == [{"v": 2}]


def test_a_statement_of_many_names_is_checked_in_time_that_grows_with_its_length(executor: Executor) -> None:
    """Hundreds of functions, queries, execs and assignments of one name: minutes if anything were squared."""
    lines = ["x = 0", "limit = 1"]
    for number in range(400):
        lines += [
            f"def f{number}(df):", "    x = x + 1", f"    return df.query('a > @limit') if v{number} else sleep(1)",
            f"exec('v{number} = 1')", f"x = x + f{number}(1)", f"class C{number}:", "    n = 1",
            "    m = [n for _ in 'a']",
        ]  # fmt: skip
    lines.append("return []")
    problems = executor.check("\n".join(lines))
    assert len(problems) == 1000
    assert {problem.rule for problem in problems} == {"scope"}
