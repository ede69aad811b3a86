"""Every error and warning of the library.

Each derives from :class:`AutodiffError` and from the built-in class that a NumPy or PyTorch user would
catch, so `except RuntimeError` written for PyTorch keeps working.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "AnomalyError",
    "ArgumentError",
    "ArgumentIndexError",
    "ArgumentTypeError",
    "AutodiffError",
    "AxisError",
    "BackendError",
    "BackendMismatchError",
    "BackendNotFoundError",
    "BackendUnavailableError",
    "BatchingError",
    "CheckpointError",
    "CheckpointFileError",
    "CompileError",
    "ConvergenceError",
    "DataError",
    "DetachWarning",
    "DeviceMismatchError",
    "DeviceNotFoundError",
    "DuplicateBackendError",
    "GradcheckError",
    "GradientError",
    "GraphError",
    "HookError",
    "InplaceError",
    "LinAlgError",
    "MissingExtraError",
    "MissingRuleError",
    "ModuleAttributeError",
    "ModuleNameError",
    "OperandError",
    "OutputError",
    "PluginContractError",
    "PluginLoadError",
    "PluginVersionError",
    "RecomputeWarning",
    "ShapeError",
    "StateDictError",
    "TransformError",
    "TreeError",
]


class AutodiffError(Exception):
    """Base of every error that autodiff_api raises."""


class GraphError(AutodiffError, RuntimeError):
    """The recorded graph does not allow what was asked (PyTorch's RuntimeError)."""


class AnomalyError(AutodiffError, RuntimeError):
    """A pass backward made a nan, and anomalies were to be detected."""


class GradientError(AutodiffError, RuntimeError):
    """A gradient is missing, has the wrong shape or dtype, or cannot be defined."""


class MissingRuleError(GradientError, NotImplementedError):
    """A derivative that nobody has written down."""


class CheckpointError(GraphError):
    """A checkpointed function did something else when it was run again."""


class CheckpointFileError(AutodiffError, RuntimeError, ValueError):
    """A file of saved tensors is damaged, cut short, or made to do harm."""


class GradcheckError(AutodiffError, RuntimeError):
    """Derivatives disagree with finite differences, or can't be compared with them."""


class BatchingError(AutodiffError, RuntimeError, ValueError):
    """A function can't be mapped over an axis: no such axis, an op without a batching law, a value that differs."""


class DataError(AutodiffError, TypeError, ValueError):
    """Data that a tensor can't hold."""


class ShapeError(AutodiffError, RuntimeError, ValueError):
    """A tensor has the wrong number of elements or a shape that does not fit."""


class OperandError(ShapeError, TypeError):
    """The engine refused the operands of an operation: their shapes don't fit, or an argument is wrong."""


class AxisError(OperandError, IndexError):
    """An operation was asked for an axis that its operand does not have."""


class LinAlgError(AutodiffError, np.linalg.LinAlgError, RuntimeError):
    """A matrix that is singular, or not what a function of matrices needs; NumPy's error of the name, too."""


class HookError(AutodiffError, TypeError):
    """A hook returned something that is no gradient."""


class InplaceError(AutodiffError, RuntimeError):
    """A tensor may not be changed in place here."""


class ArgumentError(AutodiffError, ValueError):
    """An argument has a value that the function cannot use."""


class ArgumentTypeError(AutodiffError, TypeError):
    """An argument has a type that the function cannot use."""


class ArgumentIndexError(AutodiffError, IndexError):
    """An index, a class label for instance, is out of its range."""


class ModuleAttributeError(AutodiffError, AttributeError):
    """A module has no such attribute, or cannot register it."""


class ModuleNameError(AutodiffError, KeyError):
    """A name that a parameter, buffer or submodule cannot have."""

    __str__ = Exception.__str__  # KeyError would show the quoted repr of the message


class StateDictError(AutodiffError, RuntimeError):
    """A state dict does not fit the module or optimizer that should load it."""


class BackendError(AutodiffError):
    """Something is wrong with a backend or a plugin."""


class BackendMismatchError(BackendError, TypeError):
    """Arrays of different backends met in one expression."""


class DeviceMismatchError(BackendError, ValueError):
    """Arrays on different devices met in one expression."""


class DeviceNotFoundError(BackendError, ValueError):
    """The backend has no such device."""


class BackendNotFoundError(BackendError, LookupError):
    """No installed plugin offers the backend that was asked for."""


class BackendUnavailableError(BackendError, ImportError):
    """The backend's plugin is installed, but its engine or device is not usable here."""


class PluginLoadError(BackendError, ImportError):
    """A plugin could not be imported or registered."""


class PluginVersionError(PluginLoadError):
    """A plugin speaks another major version of the plugin API."""


class DuplicateBackendError(PluginLoadError):
    """Two distributions offer a backend of the same name."""


class PluginContractError(BackendError, RuntimeError):
    """A kernel or a rule returned something other than it promised."""


class OutputError(AutodiffError, TypeError, RuntimeError):
    """A transformed function returned something that the transformation has no use for."""


class TransformError(AutodiffError, RuntimeError, TypeError, ValueError):
    """A transformation was given what does not fit the function: `argnums`, or primals."""


class TreeError(AutodiffError, RuntimeError, TypeError, ValueError):
    """Two trees of arrays are not built alike."""


class CompileError(AutodiffError, RuntimeError):
    """A function can't be compiled: what it does depends on values that only a run knows."""


class ConvergenceError(AutodiffError, RuntimeError):
    """A solver found no solution within the steps it was allowed."""


class MissingExtraError(AutodiffError, ImportError):
    """A feature needs a library that is not installed: an optional one, which the message names."""


class RecomputeWarning(UserWarning):
    """Backward passed a second time through a graph whose saved values had been freed."""


class DetachWarning(UserWarning):
    """A tensor that requires grad was turned into a Python number; gradients stop there."""
