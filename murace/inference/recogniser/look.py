"""From prepared pictures to the group model: which images are looked at, and what the learner sees in them."""

import numpy as np
import pandas as pd

from murace.config import RECOGNISER_IMAGES
from murace.data.loading.batches import sweep
from murace.data.store import Pixels
from murace.errors import WorkspaceError
from murace.inference.recogniser.fit import Labelled, drawn, fit_group_model
from murace.inference.recogniser.model import GroupModel
from murace.inference.recogniser.recognise import features_of
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.progress import Bar, Reporter
from murace.vocabulary import Split

MOST = {Split.TRAIN: RECOGNISER_IMAGES, Split.VALIDATION: RECOGNISER_IMAGES // 2}


def fit_recogniser(
    trained: TrainedNet, pixels: Pixels, index: pd.DataFrame, *, seed: int, reporter: Reporter
) -> GroupModel:
    """Fit the group model to the features that a trained learner sees in some training images of each group.

    Args:
        trained: a trained learner.
        pixels: uint8 [N, H, H].
        index: columns row, path, split, group and study, of two groups or more with training images.
        seed: of the draw.
        reporter: is shown a bar, and asked for signals.

    Raises:
        WorkspaceError: the learner sees what is no finite number.
        Interrupted: a signal came.
    """
    frames = {split: drawn(index[index["split"] == split], most=most, seed=seed) for split, most in MOST.items()}
    net = trained.net()
    with reporter.bar("recogniser", sum(map(len, frames.values()))) as bar:
        seen = {split: _look(trained, net, pixels, frame, reporter, bar) for split, frame in frames.items()}
    return fit_group_model(
        seen[Split.TRAIN], seen[Split.VALIDATION], learner=trained.learner, weights_sha256=trained.sha256
    )


def _look(
    trained: TrainedNet, net: Learner, pixels: Pixels, images: pd.DataFrame, reporter: Reporter, bar: Bar
) -> Labelled:
    """What is seen in `images`, in passes between which a signal is heard."""
    parts = []
    for rows in sweep(images["row"].to_numpy(dtype=np.int64), trained.views_at_once):
        reporter.check()
        parts.append(features_of(trained, net, pixels[rows]))
        bar.advance(len(rows))
    features = np.concatenate(parts) if parts else np.empty((0, 0))
    if not np.isfinite(features).all():
        command = f"murace train --arch {trained.learner} --fresh"
        raise WorkspaceError(f"{trained.learner} sees what is no finite number in some images. Run: {command}")
    return Labelled(features, images["group"].to_numpy(dtype=str), images["study"].to_numpy(dtype=str))
