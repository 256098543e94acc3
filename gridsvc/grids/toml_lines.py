"""Tells on which line of a TOML text a key stands, so that an error can point at it."""

from collections.abc import Iterator
from functools import cache

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Key = tuple[str | int, ...]
"""The way to a value, as pydantic writes it: `("layer", 3, "parent")`, counted from 0."""

_KEYS = ("bare_key", "quoted_key", "dotted_key")


class KeyLines:
    """The lines of all keys of one TOML text."""

    def __init__(self, text: str) -> None:
        root = _parser().parse(text.encode()).root_node
        self._line_of: dict[Key, int] = {}
        self._elements: dict[Key, int] = {}
        for node in root.named_children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def line(self, key: Key) -> int:
        """Give the line of a key, or of what is to hold it where the key is missing.

        Args:
            key: A way that need not be there; `()` is the document itself.

        Returns:
            The line, counted from 1.
        """
        while key and key not in self._line_of:
            key = key[:-1]
        return self._line_of.get(key, 1)

    def _note(self, key: Key, node: Node) -> None:
        self._line_of.setdefault(key, node.start_point[0] + 1)

    def _table(self, node: Node) -> None:
        path: Key = ()
        parts = list(_parts(next(child for child in node.children if child.type in _KEYS)))
        for index, part in enumerate(parts):
            path = (*path, part)
            if node.type == "table_array_element" and index == len(parts) - 1:
                self._note(path, node)
                self._elements[path] = self._elements.get(path, -1) + 1
            if path in self._elements:
                path = (*path, self._elements[path])
            self._note(path, node)
        for child in node.named_children:
            if child.type == "pair":
                self._pair(child, path)

    def _pair(self, node: Node, path: Key) -> None:
        key, value = (child for child in node.named_children if child.type != "comment")
        for part in _parts(key):
            path = (*path, part)
            self._note(path, key)
        self._value(value, path)

    def _value(self, node: Node, path: Key) -> None:
        children = [child for child in node.named_children if child.type != "comment"]
        if node.type == "inline_table":
            for child in children:
                self._pair(child, path)
        elif node.type == "array":
            for index, child in enumerate(children):
                self._note((*path, index), child)
                self._value(child, (*path, index))


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_toml.language()))


def _parts(key: Node) -> Iterator[str]:
    if key.type == "dotted_key":
        for child in key.named_children:
            yield from _parts(child)
    elif key.text is not None:
        text = key.text.decode()
        yield text[1:-1] if key.type == "quoted_key" else text
