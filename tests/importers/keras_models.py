"""Small Keras models as their files hold them, made without Keras."""

import io
import json
import zipfile

import h5py
import numpy as np
from fastdw.importers.keras import from_keras
from fastdw.network._graph import run
from fastdw.network._rewrite import rewrite
from support import rng, signed

IMAGE = (2, 6, 7, 8)  # two images


def weights(seed, *shape):
    return signed(rng(seed), shape)


def layer(kind, name=None, /, reads="x", arrays=None, **config):
    """A layer with its variables, {name: array}; it reads layers, or lists of calls."""
    name = name or kind.lower()
    return {
        "kind": kind,
        "name": name,
        "reads": reads,
        "arrays": arrays or {},
        "config": {"name": name, "trainable": True, "dtype": "float32"} | config,
    }


def entry(shape=IMAGE, name="x", **config):
    return layer("InputLayer", name, "", batch_shape=[None, *shape[1:]], **config)


def model(*layers, inputs=("x",), outputs=None, name="model"):
    """The configuration of a functional model, as Keras 2 writes it."""
    parts = []
    for part in layers:
        calls = part["reads"] if isinstance(part["reads"], list) else [part["reads"]]
        nodes = [[_source(text) for text in call.split()] for call in calls if call]
        parts.append(
            {
                "class_name": part["kind"],
                "config": part["config"],
                "name": part["name"],
                "inbound_nodes": nodes,
            }
        )
    ends = [layers[-1]["name"]] if outputs is None else outputs
    config = {
        "name": name,
        "layers": parts,
        "input_layers": [_source(text) for text in inputs],
        "output_layers": [_source(text) for text in ends],
    }
    return {"class_name": "Functional", "config": config}


def sequential(*layers, name="sequential", **config):
    parts = [{"class_name": part["kind"], "config": part["config"]} for part in layers]
    return {"class_name": "Sequential", "config": {"name": name, "layers": parts} | config}


def _source(text):
    """A call of a layer: name, or name:number."""
    name, _, call = text.partition(":")
    return [name, int(call or 0), 0, {}]


def h5(config, layers, version="2.15.0", **more):
    """An .h5 file; variables of layers in models lie with the outermost, as pairs of names."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        root = file.create_group("model_weights")
        root.attrs["keras_version"] = version
        for part in layers:
            group = root.create_group(part["name"])
            names = []
            for key, array in part["arrays"].items():
                where = key if "/" in key else f"{part['name']}/{key}:0"
                names.append(where.encode())
                group[where] = array
            group.attrs["weight_names"] = names
    return data.getvalue()


def keras3(config, layers, version="3.5.0", named=True, **more):
    """A .keras file; `layers` are ([places], part), older files have no names at vars."""
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for place, part in layers:
            group = file.create_group(f"{place}/vars")
            if named:
                group.attrs["name"] = part["name"]
            for i, array in enumerate(part["arrays"].values()):
                group[str(i)] = array
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("model.weights.h5", stored.getvalue())
    return data.getvalue()


def net(*layers, version="2.15.0", shape=IMAGE, **options):
    """The .h5 file of a functional model of one input, x."""
    parts = [entry(shape), *layers]
    return h5(model(*parts, **options), parts, version)


def computed(graph, *arrays):
    """The results of a graph, image by image."""
    each = [run(graph, images) for images in zip(*arrays, strict=True)]
    return [np.stack(results) for results in zip(*each, strict=True)]


def agrees(data, wanted, x=None, tolerance=2e-6, **options):
    """The graph of a model, once it gives what is wanted, rewritten or not."""
    x = weights(1, *IMAGE) if x is None else x
    graph = from_keras(data, **options)
    wanted = wanted if isinstance(wanted, list) else [wanted]
    for version in (graph, rewrite(graph)[0]):
        for got, result in zip(computed(version, x), wanted, strict=True):
            assert got.shape == result.shape
            bound = tolerance * max(np.abs(result).max(), 1)
            np.testing.assert_allclose(got, result, rtol=0, atol=bound)
    return graph
