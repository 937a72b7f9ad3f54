"""Links of relativistic losses: what a lead costs its owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

Link = Literal["logistic", "least-squares", "hinge"]

COSTS: dict[Link, Callable[[Tensor], Tensor]] = {
    # of a logit's lead over the other side's; logsigmoid, for softplus drops what is below e^-20
    "logistic": lambda lead: -F.logsigmoid(lead),
    "least-squares": lambda lead: (lead - 1).square(),
    "hinge": lambda lead: F.relu(1 - lead),
}
