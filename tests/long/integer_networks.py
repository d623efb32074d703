"""Networks of 8-bit integers against LiteRT: the bits of whole networks.

    KERAS_BACKEND=tensorflow python tests/long/integer_networks.py [OPTIONS] [NAME|FILE ...]

TensorFlow's converter quantises networks of keras.applications with drawn weights, calibrated on
pictures; a .tflite file is taken as it is. Each runs on pictures in both engines: no output may
differ, and no step may compute in float32. Needs tensorflow, ai-edge-litert and tflite; with --keep
the files stay, and are taken from there the next time.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from fastdw import Network
from keras import layers
from keras_networks import built, calibrate, pixels


def efficientnet_lite():
    """EfficientNet-B0 without gates, with ReLU6: (expansion, kernel, filters, repeats, stride)."""
    rows = [(1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)]
    rows += [(6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)]

    def normed(x, layer, activation=True):
        x = layers.BatchNormalization()(layer(x))
        return layers.ReLU(6.0)(x) if activation else x

    image = keras.Input((224, 224, 3))
    x = normed(image, layers.Conv2D(32, 3, 2, "same", use_bias=False))
    for expansion, kernel, filters, repeats, first in rows:
        for stride in (first, *[1] * (repeats - 1)):
            y = x
            if expansion > 1:
                y = normed(y, layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False))
            y = normed(y, layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False))
            y = normed(y, layers.Conv2D(filters, 1, use_bias=False), activation=False)
            x = layers.Add()([x, y]) if y.shape == x.shape else y
    x = normed(x, layers.Conv2D(1280, 1, use_bias=False))
    return keras.Model(image, layers.Dense(1000)(layers.GlobalAveragePooling2D()(x)))


def minimalistic():
    return keras.applications.MobileNetV3Small(
        weights=None, input_shape=(224, 224, 3), classifier_activation=None, minimalistic=True
    )


NETWORKS = {
    "CIFAR": lambda: built("CIFAR"),
    "MobileNet": lambda: built("MobileNet"),
    "MobileNetV2": lambda: built("MobileNetV2"),
    "MobileNetV3SmallMinimalistic": minimalistic,
    "MobileNetV3Small": lambda: built("MobileNetV3Small"),
    "EfficientNetLite": efficientnet_lite,
}


def converted(name):
    """The network in integers of 8 bits, its input and output included."""
    keras.utils.set_random_seed(3)
    net = NETWORKS[name]()
    calibrate(net)
    converter = tf.lite.TFLiteConverter.from_keras_model(net)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None]] for x in pixels(net, 16))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def pictures(detail, number):
    """Random integers of coarse patches, so that later layers see more than an average."""
    rng = np.random.default_rng(7)
    _, height, width, channels = detail["shape"]
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    limits = np.iinfo(detail["dtype"])
    coarse = rng.integers(limits.min, limits.max + 1, (number, 8, 8, channels))
    noise = rng.integers(-12, 13, (number, height, width, channels))
    x = coarse[:, rows][:, :, columns] + noise
    return x.clip(limits.min, limits.max).astype(detail["dtype"])


def check(name, path, number):
    net = Network.from_tflite(path, integers="keep")
    summary = net.summary("dict")
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    apart = []
    for x in pictures(given, number):
        interpreter.set_tensor(given["index"], x[None])
        interpreter.invoke()
        wanted = interpreter.get_tensor(output["index"]).astype(int)
        apart.append(np.abs(net(x[None]).reshape(wanted.shape) - wanted))
    differing, most = np.count_nonzero(apart), np.max(apart)
    steps = Counter(step["step"].split()[0] for step in summary["steps"])
    print(
        f"{name}: {differing} of {np.size(apart)} outputs differ, by {most} at most; "
        f"{net.macs / 1e6:.0f} million MACs in "
        + ", ".join(f"{count} {step}" for step, count in steps.items())
        + "".join(f"\n    {note}" for note in summary["notes"]),
        flush=True,
    )
    assert not differing
    assert not summary["notes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(NETWORKS), metavar="NAME|FILE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--pictures", type=int, default=20, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names:
            path = Path(name)
            if name in NETWORKS:
                path = (options.keep or Path(folder)) / f"{name}.tflite"
                if not path.exists():
                    path.write_bytes(converted(name))
            check(path.stem, path, options.pictures)


if __name__ == "__main__":
    main()
