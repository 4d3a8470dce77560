"""LightGBM's text format, checked before the library's parser sees it.

The parser trusts its input: an index out of range or a cycle among the nodes of a tree would read
foreign memory or never end. A tree of L leaves has nodes 0 .. L - 2; a child c >= 0 is a node with
a higher number, and c < 0 is the leaf -c - 1. What is not needed to predict is left out.
"""

from math import isfinite, isnan

from causal_ddpm.core.errors import ModelFileError

_HEADER = {
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx",
    "objective", "feature_names", "feature_infos", "tree_sizes",
}  # fmt: skip
_FIXED = {"num_class": "1", "num_tree_per_iteration": "1"}
_NODE_LISTS = (
    "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
    "internal_value", "internal_weight", "internal_count",
)  # fmt: skip
_LEAF_LISTS = ("leaf_value", "leaf_weight", "leaf_count")
_SCALARS = ("Tree", "num_leaves", "num_cat", "is_linear", "shrinkage")
_END = "end of trees"


def checked_booster_text(text: str) -> str:
    """The text up to the end of the trees, if it is sound.

    Raises
    ------
    ModelFileError
        If it is not the text of a booster of numeric trees with one score.
    """
    body, end, _ = text.partition("\n" + _END)
    head, *trees = body.split("\nTree=")
    header = _fields(head.removeprefix("tree\n"))
    if not end or not head.startswith("tree\n") or not set(header) <= _HEADER:
        raise _unsound("its header is not LightGBM's")
    if any(header.get(name) != value for name, value in _FIXED.items()):
        raise _unsound("it has more than one score")
    n_features = _whole(header.get("max_feature_idx", ""), 0, 10**6) + 1
    for name in ("feature_names", "feature_infos"):
        if len(header.get(name, "").split()) != n_features:
            raise _unsound(f"{name} do not fit")
    blocks = [f"Tree={tree}\n" for tree in trees]
    if [str(len(b)) for b in blocks] != header.get("tree_sizes", "").split():
        raise _unsound("the sizes of its trees are wrong")
    for i, block in enumerate(blocks):
        _check_tree(i, _fields(block), n_features)
    return f"{body}\n{_END}\n\npandas_categorical:null\n"


def _check_tree(number: int, tree: dict[str, str], n_features: int) -> None:
    """Refuse a tree whose lists, indices or values are out of range."""
    if set(tree) != {*_SCALARS, *_NODE_LISTS, *_LEAF_LISTS}:
        raise _unsound("a tree lacks a list or has an unknown one")
    leaves = _whole(tree["num_leaves"], 1, 10**6)
    if (tree["Tree"], tree["num_cat"], tree["is_linear"]) != (str(number), "0", "0"):
        raise _unsound("a tree is of another kind")
    sizes = dict.fromkeys(_NODE_LISTS, leaves - 1) | dict.fromkeys(_LEAF_LISTS, leaves)
    lengths = {name: len(tree[name].split()) for name in sizes}
    if leaves == 1:  # a tree without splits may leave out what its only leaf weighs
        lengths |= dict.fromkeys(("leaf_weight", "leaf_count"), 1)
    if lengths != sizes:
        raise _unsound("a list of a tree has another length")
    _check_nodes(tree, leaves, n_features)
    _check_numbers(tree)


def _check_nodes(tree: dict[str, str], leaves: int, n_features: int) -> None:
    """Refuse indices out of range, categories and circles."""
    for feature in tree["split_feature"].split():
        _whole(feature, 0, n_features - 1)
    for kind in tree["decision_type"].split():
        if _whole(kind, 0, 15) & 1:
            raise _unsound("a tree splits on categories")
    for name in ("left_child", "right_child"):
        for node, child in enumerate(tree[name].split()):
            if 0 <= _whole(child, -leaves, leaves - 2) <= node:
                raise _unsound("the nodes of a tree go in circles")


def _check_numbers(tree: dict[str, str]) -> None:
    values = [_number(x) for x in tree["leaf_value"].split()]
    thresholds = [_number(x) for x in tree["threshold"].split()]
    if not values or not all(map(isfinite, [*values, _number(tree["shrinkage"])])):
        raise _unsound("a leaf of a tree is not a number")
    if any(map(isnan, thresholds)):
        raise _unsound("a threshold of a tree is not a number")
    for name in ("split_gain", "internal_value", "internal_weight", "leaf_weight"):
        for x in tree[name].split():
            _number(x)
    for name in ("internal_count", "leaf_count"):
        for x in tree[name].split():
            _whole(x, 0, 2**31 - 1)


def _fields(text: str) -> dict[str, str]:
    """``name=value`` lines as a dictionary."""
    pairs = [line.partition("=") for line in text.split("\n") if line]
    found = {name: value for name, equals, value in pairs if equals}
    if len(found) != len(pairs):
        raise _unsound("a line has no value or comes twice")
    return found


def _whole(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise _unsound(f"'{text[:20]}' is no whole number") from None
    if not low <= value <= high:
        raise _unsound(f"{value} is out of range")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unsound(f"'{text[:20]}' is no number") from None


def _unsound(why: str) -> ModelFileError:
    return ModelFileError(f"The file holds boosted trees that cannot be right: {why}.")
