"""What the graph of a SavedModel may do to the machine of who loads it.

A SavedModel is a program: its operations run with the rights of the process, some of them while it
is loaded. Those that read or write files, call Python or reach for the network have no place in a
model of images; this module finds them before anything is loaded. It is a filter for accidents and
for the obvious, not a sandbox: see SECURITY.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.files import read_bytes

# By name of the operation; TensorFlow's own grouping has none for what they touch.
_REACHES_OUT = re.compile(
    r"File|Save|Restore|Checkpoint|Reader|Record|PyFunc|Print|Summary|Lmdb|Sql|Library|Dataset|"
    r"Dump|Remote|Send|Recv|Rpc|BigQuery|Gcs|ImmutableConst|Lookup.*Text|Socket|Http"
)


def refuse_reaching_out(folder: Path) -> None:
    """Raises `UsageError` where the SavedModel in `folder` has operations on files, of Python or of
    the network, other than those by which TensorFlow itself saves and restores variables."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        content = read_bytes(folder / "saved_model.pb")
        model = saved_model_pb2.SavedModel.FromString(content)
    except (OSError, DecodeError) as error:
        raise UsageError(f"{folder} cannot be loaded as a SavedModel: {error}") from None
    found = sorted({op for graph in model.meta_graphs for op in _operations(graph)})
    outside = [op for op in found if _REACHES_OUT.search(op)]
    if outside:
        raise UsageError(
            f"{folder} is refused: its graph has the operations {', '.join(outside)}, which reach "
            "files, Python or the network with your rights; if you trust who made it, say --trust"
        )


def _operations(meta_graph: Any) -> Iterator[str]:
    """The operations that a loader or a call can come to."""
    library = {f.signature.name: f.node_def for f in meta_graph.graph_def.library.function}
    saver = meta_graph.saver_def
    own = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
    nodes = [node for node in meta_graph.graph_def.node if node.name not in own]
    waiting = [name for name in meta_graph.object_graph_def.concrete_functions if name in library]
    yield from (node.op for node in nodes)
    waiting += _called(nodes, library)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield from (node.op for node in library[name])
            waiting += _called(library[name], library)


def _called(nodes: Iterable[Any], library: dict[str, Any]) -> list[str]:
    """The functions of `library` that nodes call, by name or as an attribute."""
    names = []
    for node in nodes:
        names.append(node.op)
        for value in node.attr.values():
            names += [value.func.name, *(f.name for f in value.list.func)]
    return [name for name in names if name in library]
