"""A plugin without components: while it is loaded, checkpoints are written all the time."""

import ganbench.engine.train

ganbench.engine.train.CHECKPOINT_SECONDS = 0.05
