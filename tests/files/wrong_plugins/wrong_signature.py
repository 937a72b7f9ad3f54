"""Its hook asks for what the core does not give."""

import ganbench


@ganbench.hookimpl
def ganbench_losses(config):
    return []
