"""Calls everything that C code offers to Python, in the guest: any Python error is fine, a trap is not.

WebAssembly checks the type of every indirect call, so a C function with a wrong signature, which native processors
forgive, ends the guest. `groups()` names the modules with C code; `sweep(group, skip, log)` goes through one of them
and tells each target to the log before touching it, so that the host knows where a guest died.
"""

import copy
import gc
import importlib
import operator
import pickle
import sys
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any

# Each of these would end, block or blind the execution by doing what it is there for.
HARMFUL = frozenset(
    {
        "_thread.exit", "_thread.exit_thread", "_thread.interrupt_main", "_thread.lock.acquire",
        "_thread.lock.acquire_lock", "_thread.lock.__enter__", "_queue.SimpleQueue.get", "builtins.breakpoint",
        "builtins.input", "faulthandler._fatal_error", "faulthandler._fatal_error_c_thread", "faulthandler._read_null",
        "faulthandler._sigabrt", "faulthandler._sigfpe", "faulthandler._sigsegv", "faulthandler._stack_overflow",
        "posix._exit", "posix.abort", "posix.kill", "_signal.raise_signal", "_signal.pause", "sys.setprofile",
        "sys.addaudithook", "sys.settrace", "sys.setrecursionlimit", "sys.exit", "sys.call_tracing",
        "_tracemalloc.start", "gc.set_debug",
        # Lets go of its bit generator before it looks at the new one, and uses it afterwards, natively too.
        "numpy.random._generator.Generator.__init__",
    }
)  # fmt: skip
# The guest's channel to the host is tested by itself, and calling it here would cut the sweep's own log.
NOT_SWEPT = frozenset({"_wasmexec"})

ARGUMENTS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((), {}),
    ((None,), {}),
    ((0,), {}),
    (("x",), {}),
    ((b"x",), {}),
    ((None, None), {}),
    ((1, "x"), {}),
    (([], {}, 1.5), {}),
    ((), {"x": None}),
)
MAKING: tuple[tuple[Any, ...], ...] = (
    (), (0,), ("x",), (b"x",), ([],), ({},), (None,), (len,), (int, "x"), ("i",), (len, []), (0, 0), (2020, 1, 1),
)  # fmt: skip
of = importlib.import_module
# What is made of triangles refers to them and does not hold them.
_TRIANGLES = "kept(of('matplotlib.tri').Triangulation([0, 1, 1, 0], [0, 0, 1, 1]))"
_RENDERER = "of('matplotlib.backends._backend_agg').RendererAgg(8, 8, 72)"
# Instances of types that no plain call makes, by the module they belong to.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "builtins": (
        "(i for i in [])", "(lambda: 0)", "(lambda: 0).__code__", "[].append", "[].__len__", "list.append",
        "list.__len__", "dict.fromkeys", "dict.__dict__['fromkeys']", "type.__dict__['__mro__']",
        "types.SimpleNamespace(a=1)", "sys._getframe()", "types.MappingProxyType({})", "types.CellType(1)",
        "list[int]", "int | str", "slice(1)", "NotImplemented", "...", "memoryview(bytearray(b'abc'))", "range(3)",
        "type('x', (), {})", "sys.flags", "sys.version_info", "property(len)", "staticmethod(len)", "super(int, 1)",
        "type('m', (), {'f': lambda self: 0})().f", "make_coroutine()", "make_async_generator()",
        "make_async_generator().asend(None)", "make_traceback()", "types.coroutine(lambda: (yield))", "'x'.__iter__()",
        "{1: 2}.keys()", "{1: 2}.items()", "{1: 2}.values()", "reversed([1])", "reversed({1: 2})", "iter(int, 1)",
        # Pillow's types say of themselves that they are builtins.
        "of('PIL.Image').new('RGB', (4, 4)).im", "of('PIL.Image').new('P', (4, 4)).im",
        "of('PIL.Image').new('RGB', (4, 4)).im.pixel_access(False)", "of('PIL._imaging').outline()",
        "of('PIL._imaging').path([0, 0, 1, 1])", "of('PIL.Image')._getdecoder('RGB', 'raw', ('RGB',), ())",
        "of('PIL.Image')._getencoder('RGB', 'raw', ('RGB',), ())",
        "of('PIL.ImageDraw').Draw(of('PIL.Image').new('RGB', (4, 4))).draw",
        "of('PIL.ImageFont').truetype(of('matplotlib.font_manager').findfont('serif'), 12).font",
    ),
    "_ssl": (
        "__import__('ssl').create_default_context()", "__import__('ssl').MemoryBIO()",
        "make_tls()._sslobj",
    ),
    "_hashlib": ("__import__('_hashlib').new('sha256')", "__import__('hmac').new(b'k', b'', 'sha256')._hmac"),
    "_cffi_backend": (
        "__import__('_cffi_backend').FFI()", "__import__('_cffi_backend').FFI().new('int[3]')",
        "__import__('_cffi_backend').FFI().new('char[]', b'x')", "__import__('_cffi_backend').FFI().cast('int', 1)",
        "__import__('_cffi_backend').FFI().typeof('int(*)(int)')", "__import__('_cffi_backend').FFI().typeof('int[3]')",
        "__import__('_cffi_backend').FFI().new_handle(1)",
        "__import__('_cffi_backend').FFI().from_buffer(bytearray(2))",
        "__import__('_cffi_backend').FFI().buffer(__import__('_cffi_backend').FFI().new('int[3]'))",
        "iter(__import__('_cffi_backend').FFI().new('int[3]'))",
        "__import__('_cffi_backend').FFI().gc(__import__('_cffi_backend').FFI().new('int[3]'), lambda data: None)",
        "sys.modules['bcrypt._bcrypt'].lib", "sys.modules['bcrypt._bcrypt'].ffi",
        "sys.modules['_argon2_cffi_bindings._ffi'].ffi.new('argon2_context *')",
    ),
    "pyexpat": ("__import__('pyexpat').ParserCreate()",),
    "re": ("__import__('re').compile('x')", "__import__('re').match('x', 'x')"),
    "_struct": ("__import__('_struct').Struct('i')",),
    "_sre": ("__import__('re').compile('x').scanner('x')",),
    "zlib": ("__import__('zlib').compressobj()", "__import__('zlib').decompressobj()"),
    "_csv": ("__import__('_csv').reader([])", "__import__('_csv').writer(__import__('io').StringIO())"),
    "numpy": (
        "__import__('numpy').arange(6.0).reshape(2, 3)", "__import__('numpy').arange(3).flat",
        "__import__('numpy').dtype('f8')", "__import__('numpy').dtype([('a', 'i4')])", "__import__('numpy').float64(1)",
        "__import__('numpy').dtype('M8[ns]')", "__import__('numpy').array(['a', None], dtype=object)",
        "__import__('numpy').nditer([1, 2])", "__import__('numpy').broadcast([1], [2])", "__import__('numpy').add",
        "__import__('numpy').zeros(2, dtype=[('a', 'i4')])[0]", "__import__('numpy').datetime64(1, 's')",
        "__import__('numpy').array(['ab'])", "__import__('numpy').busdaycalendar()", "__import__('numpy').sum",
    ),
    "numpy.random._generator": ("__import__('numpy').random.default_rng(1)",),
    "numpy.random.mtrand": ("__import__('numpy').random.RandomState(1)",),
    "pandas._libs.tslibs.timestamps": ("__import__('pandas').Timestamp('2024-01-02T03:04', tz='UTC')",),
    "pandas._libs.tslibs.timedeltas": ("__import__('pandas').Timedelta('1d')",),
    "pandas._libs.tslibs.period": ("__import__('pandas').Period('2024-01')",),
    "pandas._libs.tslibs.nattype": ("__import__('pandas').NaT",),
    "pandas._libs.missing": ("__import__('pandas').NA",),
    "pandas._libs.interval": ("__import__('pandas').Interval(0, 1)",),
    "pandas._libs.index": ("__import__('pandas').Index([1, 2])._engine", "__import__('pandas').Index(['a'])._engine"),
    "pandas._libs.internals": (
        "__import__('pandas').DataFrame({'a': [1], 'b': ['x']})._mgr",
        "__import__('pandas').DataFrame({'a': [1]})._mgr.blocks[0]",
        "__import__('pandas').DataFrame({'a': [1]})._mgr.blocks[0].mgr_locs",
    ),
    "matplotlib.ft2font": (
        "of('matplotlib.ft2font').FT2Font(of('matplotlib.font_manager').findfont('serif'))",
        "of('matplotlib.ft2font').FT2Font(of('matplotlib.font_manager').findfont('serif')).load_char(65)",
    ),
    "matplotlib.backends._backend_agg": (
        f"{_RENDERER}", f"{_RENDERER}.copy_from_bbox(of('matplotlib.transforms').Bbox.unit())",
    ),
    "matplotlib._tri": (
        f"{_TRIANGLES}.get_cpp_triangulation()", f"kept({_TRIANGLES}.get_trifinder())._cpp_trifinder",
        f"of('matplotlib._tri').TriContourGenerator({_TRIANGLES}.get_cpp_triangulation(), [0.0, 1, 2, 3])",
    ),
    "contourpy._contourpy": tuple(
        f"of('contourpy').contour_generator(z=[[0.0, 1], [1, 2]], name='{name}')"
        for name in ("mpl2005", "mpl2014", "serial", "threaded")
    ),
    "kiwisolver": (
        "of('kiwisolver').Variable('x')", "of('kiwisolver').Variable('x') * 2", "of('kiwisolver').Variable('x') + 1",
        "of('kiwisolver').Variable('x') >= 1", "of('kiwisolver').Solver()", "of('kiwisolver').strength",
    ),
}  # fmt: skip
_HEAP_TYPE = 1 << 9
_FUNCTIONS = ("builtin_function_or_method", "cython_function_or_method", "fused_cython_function", "ufunc")
_C_METHODS = (
    *_FUNCTIONS, "method_descriptor", "classmethod_descriptor", "wrapper_descriptor", "staticmethod", "classmethod",
    "instancemethod",
)  # fmt: skip
_C_ATTRIBUTES = ("getset_descriptor", "member_descriptor", "property")
_TRIED_INSTANCES = 3
# Cython's closures: no statement gets hold of the types, and they are nothing without the frame they belong to.
_GENERATED = "__pyx_scope_struct"
# What must not be freed: freeing it was found to be deadly and is skipped, or others refer to it without holding it.
_IMMORTAL: list[Any] = []


def kept(value: Any) -> Any:
    """The value, which lives on."""
    _IMMORTAL.append(value)
    return value


def _all_types() -> list[type]:
    found: dict[int, type] = {}
    waiting: list[type] = [object]
    while waiting:
        current = waiting.pop()
        if id(current) not in found:
            found[id(current)] = current
            waiting += type.__subclasses__(current)
    return [candidate for candidate in found.values() if _is_c_type(candidate)]


def _is_c_type(candidate: type) -> bool:
    if not candidate.__flags__ & _HEAP_TYPE:
        return True
    # A class statement never leaves these in a class's own dictionary; a type made from a C spec always has some, and
    # one made by pybind11 has instancemethods.
    return any(
        type(value).__name__ in ("wrapper_descriptor", "method_descriptor", "classmethod_descriptor", "instancemethod")
        for value in type.__dict__["__dict__"].__get__(candidate).values()
    )


def _functions(module: types.ModuleType) -> dict[str, Any]:
    names = dict(vars(module))
    return {
        name: value
        for name, value in names.items()
        if type(value).__name__ in _FUNCTIONS and getattr(value, "__module__", None) in (module.__name__, None)
    }


def load_all() -> None:
    """Import every built-in module; one may refuse this platform, with a Python error."""
    for name in sys.builtin_module_names:
        if name not in sys.modules and name not in NOT_SWEPT:
            try:
                importlib.import_module(name)
            except Exception as error:
                print(f"{name} cannot be imported: {error!r}")


def groups() -> list[str]:
    """The modules that have C functions or C types."""
    load_all()
    found = {str(candidate.__module__) for candidate in _all_types()}
    loaded = [(name, module) for name, module in sys.modules.items() if hasattr(module, "__dict__")]
    found.update(name for name, module in loaded if _functions(module))
    return sorted(found - NOT_SWEPT)


def sweep(group: str, skip: Collection[str], log: Callable[[str], object]) -> tuple[int, list[str]]:
    """Go through one module; returns the number of targets touched, and those in `skip` that were met and left out."""
    load_all()
    return _Sweep(group, frozenset(skip), log).run()


class _Sweep:
    def __init__(self, group: str, skip: frozenset[str], log: Callable[[str], object]) -> None:
        self.group = group
        self.skip = skip
        self.log = log
        self.count = 0
        self.left_out: set[str] = set()
        self.examples: dict[type, list[Any]] = {}
        self.harvest: dict[type, list[Any]] = {}
        self.seen: set[type] = set()

    def run(self) -> tuple[int, list[str]]:
        module = sys.modules.get(self.group)
        if module is not None and hasattr(module, "__dict__"):
            for name, function in sorted(_functions(module).items()):
                self._call_all(f"{self.group}.{name}", function)
        for source in EXAMPLES.get(self.group, ()):
            example = self._guard(lambda source=source: eval(source, dict(globals())))  # type: ignore[misc]
            self.examples.setdefault(type(example), []).append(example)
        mine = sorted((t for t in _all_types() if str(t.__module__) == self.group), key=lambda t: t.__qualname__)
        for candidate in mine:
            self._type(candidate)
        # Calls have returned instances of types that could not be made before.
        for candidate in mine:
            if candidate not in self.seen and candidate in self.harvest:
                self._type(candidate)
        if self._target(f"{self.group}<end>"):
            self.examples.clear()
            self.harvest.clear()
            gc.collect()
        return self.count, sorted(self.left_out)

    def _guard(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        # Any Python error is fine here, also those that would end a program.
        except BaseException:
            return None

    def _is_skipped(self, name: str) -> bool:
        if name in self.skip:
            self.left_out.add(name)
            return True
        return name in HARMFUL

    def _target(self, name: str) -> bool:
        if self._is_skipped(name):
            return False
        self.count += 1
        self.log(name)
        return True

    def _keep(self, value: Any) -> Any:
        # Live namespaces and modules come back from calls too, and must not be cleared.
        if isinstance(value, dict | list | set | type | types.ModuleType):
            return value
        kept = self.harvest.setdefault(type(value), [])
        if len(kept) < _TRIED_INSTANCES and value is not None:
            kept.append(value)
        return value

    def _call_all(self, name: str, function: Callable[..., Any]) -> None:
        if self._target(name):
            for arguments, keywords in ARGUMENTS:
                self._keep(self._guard(lambda a=arguments, k=keywords: function(*a, **k)))  # type: ignore[misc]

    def _instances(self, candidate: type, name: str) -> Iterator[Any]:
        made = 0
        if self._target(f"{name}()"):
            for arguments in MAKING:
                instance = self._guard(lambda a=arguments: candidate(*a))  # type: ignore[misc]
                if type(instance) is candidate and made < _TRIED_INSTANCES:
                    made += 1
                    yield instance
        for instance in self.examples.get(candidate) or (self.harvest.get(candidate, []) if not made else []):
            made += 1
            yield instance
        if not made and self._target(f"{name}.__new__()"):
            instance = self._guard(lambda: candidate.__new__(candidate))  # type: ignore[call-overload]
            if type(instance) is candidate:
                yield instance

    def _type(self, candidate: type) -> None:
        name = f"{self.group}.{candidate.__qualname__}"
        if candidate.__name__.startswith(_GENERATED) or self._is_skipped(name):
            return
        own = dict(type.__dict__["__dict__"].__get__(candidate))
        instances = list(self._instances(candidate, name))
        while instances:
            self.seen.add(candidate)
            self._instance(name, own, instances[-1])
            if self._target(f"{name}<free>"):
                instances.pop()
                gc.collect()
            else:
                _IMMORTAL.append(instances.pop())
        for attribute, value in own.items():
            if type(value).__name__ in _C_ATTRIBUTES and self._target(f"{name}:{attribute}"):
                self._guard(lambda a=attribute: getattr(candidate, a))  # type: ignore[misc]

    def _instance(self, name: str, own: dict[str, Any], instance: Any) -> None:
        self._slots(name, instance)
        for attribute, value in own.items():
            kind = type(value).__name__
            if kind in _C_ATTRIBUTES:
                self._attribute(f"{name}.{attribute}", instance, attribute)
            elif kind in _C_METHODS:
                bound = self._guard(lambda a=attribute: getattr(instance, a))  # type: ignore[misc]
                self._call_all(f"{name}.{attribute}", bound)
        self._clear(name, instance)

    def _attribute(self, name: str, instance: Any, attribute: str) -> None:
        if not self._target(name):
            return
        self._keep(self._guard(lambda: getattr(instance, attribute)))
        for value in (None, 0, "x", ()):
            self._guard(lambda v=value: setattr(instance, attribute, v))  # type: ignore[misc]
        self._guard(lambda: delattr(instance, attribute))

    def _slots(self, name: str, instance: Any) -> None:
        tests: dict[str, Callable[[], Any]] = {
            "repr": lambda: repr(instance),
            "str": lambda: str(instance),
            "format": lambda: format(instance, "x"),
            "hash": lambda: hash(instance),
            "len": lambda: len(instance),
            "bool": lambda: bool(instance),
            "unary": lambda: self._unary(instance),
            "binary": lambda: self._binary(instance),
            "compare": lambda: self._compare(instance),
            "iter": lambda: [next(i) for i in [self._keep(iter(instance))] for _ in range(2)],
            "next": lambda: next(instance),
            "reversed": lambda: self._keep(reversed(instance)),
            "items": lambda: self._items(instance),
            "buffer": lambda: self._keep(memoryview(instance)),
            "dir": lambda: dir(instance),
            "getattr": lambda: instance.no_such_attribute,
            "copy": lambda: (copy.copy(instance), copy.deepcopy(instance)),
            "pickle": lambda: pickle.loads(pickle.dumps(instance)),
            "descriptor": lambda: type(instance).__get__(instance, 1, int),
            "await": lambda: self._keep(type(instance).__await__(instance)),
            "aiter": lambda: (self._keep(type(instance).__aiter__(instance)), type(instance).__anext__(instance)),
            "sizeof": lambda: sys.getsizeof(instance),
        }
        for test, action in tests.items():
            if self._target(f"{name}<{test}>"):
                self._guard(action)
        if callable(instance):
            self._call_all(f"{name}<call>", instance)

    def _unary(self, instance: Any) -> None:
        for function in (
            int, float, complex, operator.index, operator.neg, operator.pos, operator.invert, abs, round,
        ):  # fmt: skip
            self._guard(lambda f=function: f(instance))  # type: ignore[misc]

    def _binary(self, instance: Any) -> None:
        for operation in (
            operator.add, operator.sub, operator.mul, operator.matmul, operator.truediv, operator.floordiv,
            operator.mod, operator.pow, operator.lshift, operator.rshift, operator.and_, operator.xor, operator.or_,
            operator.iadd, operator.imul, divmod,
        ):  # fmt: skip
            for other in (None, 2, "x", instance):
                self._keep(self._guard(lambda o=operation, v=other: o(instance, v)))  # type: ignore[misc]
                self._guard(lambda o=operation, v=other: o(v, instance))  # type: ignore[misc]

    def _compare(self, instance: Any) -> None:
        for operation in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
            for other in (None, 0, "x", instance):
                self._guard(lambda o=operation, v=other: o(instance, v))  # type: ignore[misc]

    def _items(self, instance: Any) -> None:
        for key in (None, 0, -1, "x", slice(None), (0, 0), ..., 1.5):
            # Without one of these, `in` would iterate, and some iterators never end.
            if hasattr(type(instance), "__contains__") or hasattr(type(instance), "__getitem__"):
                self._guard(lambda k=key: k in instance)  # type: ignore[misc]
            self._keep(self._guard(lambda k=key: instance[k]))  # type: ignore[misc]
            self._guard(lambda k=key: operator.setitem(instance, k, None))  # type: ignore[misc]
            self._guard(lambda k=key: operator.delitem(instance, k))  # type: ignore[misc]

    def _clear(self, name: str, instance: Any) -> None:
        """Let the cycle collector traverse and clear the instance."""
        if self._target(f"{name}<cycle>"):
            cycle = [self._guard(lambda: copy.copy(instance))]
            cycle.append(cycle)
            del cycle
            gc.collect()


async def _nothing() -> None:
    return None


def make_coroutine() -> Any:
    """A coroutine that is closed, so that nobody warns of it."""
    made = _nothing()
    made.close()
    return made


async def _one() -> Any:
    yield 1


def make_async_generator() -> Any:
    """An asynchronous generator that has not started."""
    return _one()


def make_tls() -> Any:
    """A TLS client over two memory buffers, not connected."""
    import ssl

    return ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x")


def make_traceback() -> types.TracebackType | None:
    """The traceback of a caught error."""
    try:
        raise ValueError
    except ValueError as error:
        return error.__traceback__
