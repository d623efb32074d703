"""Networks of keras.applications by way of .tflite and .onnx, against Keras itself.

    KERAS_BACKEND=tensorflow python tests/long/keras_formats.py [NAME ...]

TensorFlow's converter and tf2onnx write the files; whatever they make of a layer, the answer must
be that of Keras within the bounds of keras_networks.py, with the same five largest entries. Needs
tensorflow, tf2onnx, tflite and onnx.
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from fastdw import Network
from keras_networks import NETWORKS, built, calibrate, pixels, tolerance


def as_tflite(net):
    return tf.lite.TFLiteConverter.from_keras_model(net).convert()


def as_onnx(net):
    for layer in net.layers:
        if isinstance(layer, keras.layers.Normalization):
            # Of tensors that stand outside the graph tf2onnx would make inputs.
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    spec = tf.TensorSpec((None, *net.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda x: net(x, training=False), input_signature=[spec])
    model, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=17)
    return model.SerializeToString()


def check(name):
    keras.utils.set_random_seed(3)
    net = built(name)
    calibrate(net)
    x = pixels(net, 2)
    wanted = np.asarray(net(x, training=False))
    for suffix, write, read in (
        ("tflite", as_tflite, Network.from_tflite),
        ("onnx", as_onnx, Network.from_onnx),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"net.{suffix}"
            path.write_bytes(write(net))
            y = read(path)(x)
        error = np.abs(y - wanted).max() / np.abs(wanted).max()
        assert error <= tolerance(name), f"{name}.{suffix}: {error:.1e} of the largest output"
        assert np.array_equal(np.argsort(y)[:, -5:], np.argsort(wanted)[:, -5:]), (name, suffix)
        print(f"{name}.{suffix}: within {error:.1e} of Keras {keras.__version__}", flush=True)


if __name__ == "__main__":
    for network in sys.argv[1:] or NETWORKS:
        check(network)
