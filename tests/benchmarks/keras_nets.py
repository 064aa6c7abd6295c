"""The three nets in Keras 3, layer for layer those of `murace.nets`, with the same number of parameters.

The numbers stand here once more, since importing `murace.nets` would bring torch into TensorFlow's process.
"""

import keras
from keras import layers

CHANNELS = (16, 32, 64, 128, 256, 512, 1024)
STEM = 16
WIDTHS = (32, 64, 128, 256, 512)
DEPTHS = (6, 8, 2, 6, 3)


def create(name: str, size: int) -> keras.Model:
    """A net for pictures [B, size, size, 1] in 0..1 that gives two logits."""
    picture = keras.Input((size, size, 1))
    if name == "densenet":
        trunk = keras.applications.DenseNet169(include_top=False, weights=None, input_tensor=picture)
        maps = trunk.output
    else:
        maps = {"convnet": _convnet, "resnet": _resnet}[name](picture)
    return keras.Model(picture, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))


def _convnet(x):  # type: ignore[no-untyped-def]
    for channels in CHANNELS:
        for _ in range(2):
            x = _active(layers.Conv2D(channels, 3, padding="same")(x))
        if channels != CHANNELS[-1]:
            x = layers.MaxPooling2D()(x)
    return x


def _resnet(x):  # type: ignore[no-untyped-def]
    x = _active(layers.Conv2D(STEM, 5, padding="same", kernel_initializer="he_normal")(x))
    for channels, depth in zip(WIDTHS, DEPTHS, strict=True):
        for number in range(depth):
            x = _block(x, channels, strides=1 if number else 2)
    return _active(x)


def _block(x, channels: int, *, strides: int):  # type: ignore[no-untyped-def]
    """BN-ReLU-Conv-BN-ReLU-Conv; a block that halves the map has a 1x1 projection as its shortcut."""
    active = _active(x)
    shortcut = layers.Conv2D(channels, 1, strides=strides)(active) if strides > 1 else x
    inner = layers.Conv2D(channels, 3, strides=strides, padding="same", kernel_initializer="he_normal")(active)
    residual = layers.Conv2D(channels, 3, padding="same", kernel_initializer="he_normal")(_active(inner))
    return layers.Add()([residual, shortcut])


def _active(x):  # type: ignore[no-untyped-def]
    return layers.ReLU()(layers.BatchNormalization()(x))
