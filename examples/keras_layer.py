"""A trained Keras layer with its BatchNormalization and activation, as one layer of fastdw."""

import pickle

import keras
import numpy as np
from fastdw import SeparableConv2D


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 28, 28, 32), dtype=np.float32)
    convolution = keras.layers.SeparableConv2D(64, 3, padding="same", use_bias=False)
    norm = keras.layers.BatchNormalization()
    keras.Sequential([convolution, norm]).build(x.shape)  # in your program: load_model(…)
    norm.set_weights([rng.uniform(0.5, 1.5, 64) for _ in range(4)])
    wanted = keras.ops.convert_to_numpy(keras.ops.relu6(norm(convolution(x), training=False)))

    layer = SeparableConv2D.from_keras(convolution, batch_norm=norm, activation="relu6")
    y = layer(x)
    print(layer)
    print(f"largest difference from Keras: {np.abs(y - wanted).max():.1e}")
    assert np.allclose(y, wanted, rtol=1e-4, atol=1e-4)

    # A process without Keras can go on from here.
    again = pickle.loads(pickle.dumps(layer))
    assert np.array_equal(again(x), y)


if __name__ == "__main__":
    main()
