"""Built-in losses, one a file."""

from ganbench_builtin.losses.elbo import ELBO
from ganbench_builtin.losses.hinge import Hinge
from ganbench_builtin.losses.least_squares import LeastSquares
from ganbench_builtin.losses.minimax import Minimax
from ganbench_builtin.losses.non_saturating import NonSaturating
from ganbench_builtin.losses.wasserstein import Wasserstein

ALL = [Minimax, NonSaturating, Wasserstein, LeastSquares, Hinge, ELBO]
