"""Every behaviour of PyTorch's autograd that its users rely on, as a table of small programs."""

from behaviours.anomalies import anomaly
from behaviours.flags import flags, gradients
from behaviours.function import function
from behaviours.gradchecks import checks
from behaviours.graph import graph
from behaviours.hooks import hooks
from behaviours.inplace import inplace
from behaviours.leaving import copies, exports
from behaviours.modes import modes
from behaviours.passes import autograd, backward, checkpoints, freed
from behaviours.texts import texts
from behaviours.transforms import nesting, transforms

ROWS = [
    *(*flags, *gradients, *backward, *hooks, *copies, *exports, *inplace),
    *(*autograd, *freed, *checkpoints, *modes, *checks),
    *(*function, *graph, *anomaly),
    *(*transforms, *nesting),
    *texts,
]
