from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_IGNORED = ('PROTO', 'FRAME', 'STOP')
_LITERALS = frozenset(
    'INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING '
    'SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES '
    'SHORT_BINBYTES BINBYTES8 BYTEARRAY8'.split()
)
_MARK = object()


@dataclass(frozen=True)
class PickledName:
    r"""A class or a function that a pickle names. It is not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f'{self.module}.{self.name}'


@dataclass
class PickledObject:
    r"""An object that a pickle describes. It is not created."""

    name: PickledName
    """The class or function that would create it."""
    args: tuple[Any, ...]
    """The arguments of that call."""
    state: Any = None
    """The state that would be set."""
    items: list[tuple[Any, Any]] = field(default_factory=list)
    """The items that would be set, if it were a dictionary."""


class PickledDict(list[tuple[Any, Any]]):
    r"""The items of a dictionary. Its keys are not hashed, because that may take
    forever."""


def read_pickle_records(
    file: BinaryIO, is_allowed: Callable[[PickledName], bool]
) -> Any:
    r"""Read the description of objects in a pickle without creating them.

    Numbers, texts, bytes, tuples and lists are returned as they are, dictionaries as
    :class:`PickledDict`, and all other objects as :class:`PickledName` or
    :class:`PickledObject`. References to objects outside of the pickle get the name
    :obj:`pickle.persistent_id`. Memory is proportional to the size of the file, no
    matter which sizes it declares.

    Args:
        file (file): The file. Use one that never reads beyond its end, such as an
            :class:`mmap.mmap`.
        is_allowed (callable): A function of a name that returns whether it may occur.

    Raises:
        ValueError: If a name is not allowed, or the file is damaged or uses rare
            instructions.
    """
    machine = _Machine(is_allowed)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.run(opcode.name, argument)
        (value,) = machine.stack
    except _Refused:
        raise
    except Exception as error:  # Damaged pickles raise almost anything.
        raise ValueError(str(error) or type(error).__name__) from None
    return value


class _Refused(ValueError):
    pass


class _Machine:
    r"""The stack machine of pickles, reduced to plain values."""

    def __init__(self, is_allowed: Callable[[PickledName], bool]) -> None:
        self.is_allowed = is_allowed
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in ('MEMOIZE', 'PUT', 'BINPUT', 'LONG_BINPUT'):
            place = len(self.memo) if argument is None else argument
            self.memo[place] = self.stack[-1]
        elif opcode in ('GET', 'BINGET', 'LONG_BINGET'):
            self.stack.append(self.memo[argument])
        elif opcode not in _IGNORED:
            method = getattr(self, f'op_{opcode.lower()}', None)
            if method is None:
                raise _Refused(f'it uses the instruction {opcode}')
            method(argument)

    def pop_to_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError('a mark is missing')
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def op_mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def op_pop(self, _: None) -> None:
        self.stack.pop()

    def op_pop_mark(self, _: None) -> None:
        self.pop_to_mark()

    def op_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def op_empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def op_empty_list(self, _: None) -> None:
        self.stack.append([])

    def op_empty_dict(self, _: None) -> None:
        self.stack.append(PickledDict())

    def op_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def op_tuple1(self, _: None) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def op_tuple2(self, _: None) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def op_tuple3(self, _: None) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def op_list(self, _: None) -> None:
        self.stack.append(self.pop_to_mark())

    def op_append(self, _: None) -> None:
        value = self.stack.pop()
        self._list().append(value)

    def op_appends(self, _: None) -> None:
        values = self.pop_to_mark()
        self._list().extend(values)

    def op_dict(self, _: None) -> None:
        self.stack.append(PickledDict(_pairs(self.pop_to_mark())))

    def op_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._items().append((key, value))

    def op_setitems(self, _: None) -> None:
        values = self.pop_to_mark()
        self._items().extend(_pairs(values))

    def op_global(self, names: str) -> None:
        module, _, name = names.partition(' ')
        self._push_name(module, name)

    def op_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._push_name(module, name)

    def op_reduce(self, _: None) -> None:
        args, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, PickledName) or type(args) is not tuple:
            raise ValueError('it calls something other than a name')
        self.stack.append(PickledObject(name, args))

    op_newobj = op_reduce

    def op_binpersid(self, _: None) -> None:
        self._push_name('pickle', 'persistent_id')
        name, value = self.stack.pop(), self.stack.pop()
        args = value if type(value) is tuple else (value,)
        self.stack.append(PickledObject(name, args))

    def op_build(self, _: None) -> None:
        state, value = self.stack.pop(), self.stack[-1]
        if not isinstance(value, PickledObject):
            raise ValueError('it sets the state of something other than an object')
        value.state = state

    def _list(self) -> list[Any]:
        value = self.stack[-1]
        if type(value) is not list:
            raise ValueError('it appends to something other than a list')
        return value

    def _items(self) -> list[tuple[Any, Any]]:
        value = self.stack[-1]
        if isinstance(value, PickledObject):
            return value.items
        if not isinstance(value, PickledDict):
            raise ValueError('it sets items of something other than a dictionary')
        return value

    def _push_name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError('it refers to something other than a name')
        value = PickledName(module, name)
        if not self.is_allowed(value):
            raise _Refused(f'it refers to {str(value)[:200]}')
        self.stack.append(value)


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    if len(values) % 2 != 0:
        raise ValueError('a key has no value')
    return list(zip(values[::2], values[1::2]))
