"""The paper's own stack: Keras on TensorFlow, `model.fit` over Keras' own augmenting generator.

A spec has `net`, `size`, `batch`, `steps` and `files`.
"""

import os
import time
import warnings

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from tests.benchmarks import keras_nets
from tests.benchmarks.serve import Spec, Work, serve


class Clock(keras.callbacks.Callback):
    """From the end of the first step, when everything is built and loaded, to the end of the last."""

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.ended = time.perf_counter()
        if batch == 0:
            self.began = self.ended


def prepare(spec: Spec) -> tuple[Work, dict[str, object]]:
    """Everything up to the first step."""
    warnings.simplefilter("ignore")
    net = keras_nets.create(spec["net"], spec["size"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer=keras.optimizers.Adam(1e-4), loss=loss)
    augmenting = ImageDataGenerator(rescale=1 / 255, rotation_range=30, horizontal_flip=True, vertical_flip=True)
    flow = augmenting.flow_from_directory(
        spec["files"],
        target_size=(spec["size"], spec["size"]),
        color_mode="grayscale",
        class_mode="sparse",
        batch_size=spec["batch"],
    )

    def work() -> tuple[int, float]:
        clock = Clock()
        net.fit(flow, epochs=1, steps_per_epoch=spec["steps"] + 1, verbose=0, callbacks=[clock])
        return spec["batch"] * spec["steps"], clock.ended - clock.began

    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    return work, versions | {"parameters": net.count_params(), "threads": os.cpu_count()}


if __name__ == "__main__":
    serve(prepare)
