"""The few functions of `torch.nn.functional` that the networks need, as users of JAX and HIPS autograd write them."""

from __future__ import annotations

import math
from typing import Any


class Words:
    """The functions, over NumPy's namespace or one like it."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.tanh = xp.tanh

    def linear(self, x: Any, weight: Any, bias: Any = 0.0) -> Any:
        """Return x Wᵀ + b."""
        return x @ weight.T + bias

    def relu(self, x: Any) -> Any:
        """Return max(x, 0)."""
        return self.xp.maximum(x, 0)

    def gelu(self, x: Any) -> Any:
        """Return x Φ(x)."""
        return 0.5 * x * (1.0 + self.erf(x * math.sqrt(0.5)))

    def erf(self, x: Any) -> Any:
        """Return HIPS autograd's error function of x."""
        from autograd.scipy.special import erf

        return erf(x)

    def softmax(self, x: Any) -> Any:
        """Return exp(x), scaled so that the last axis sums to one."""
        e = self.xp.exp(x - self.xp.max(x, axis=-1, keepdims=True))
        return e / self.xp.sum(e, axis=-1, keepdims=True)

    def layer_norm(self, x: Any, shape: tuple[int, ...], weight: Any, bias: Any) -> Any:
        """Return rows of mean 0 and variance 1, scaled and shifted."""
        x = x - self.xp.mean(x, axis=-1, keepdims=True)
        return x / self.xp.sqrt(self.xp.mean(x * x, axis=-1, keepdims=True) + 1e-5) * weight + bias

    def scaled_dot_product_attention(self, query: Any, key: Any, value: Any) -> Any:
        """Return softmax(Q Kᵀ / √d) V."""
        scores = query @ self.xp.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
        return self.softmax(scores) @ value

    def cross_entropy(self, scores: Any, labels: Any) -> Any:
        """Return the mean of log(sum(exp(scores))) minus the score of the label."""
        shifted = scores - self.xp.max(scores, axis=1, keepdims=True)
        logs = self.xp.log(self.xp.sum(self.xp.exp(shifted), axis=1))
        return self.xp.mean(logs - shifted[range(len(labels)), labels])


class JaxWords(Words):
    """The functions that `jax.nn` and `jax.lax` have."""

    def __init__(self) -> None:
        import jax

        super().__init__(jax.numpy)
        self.nn: Any = jax.nn
        self.lax: Any = jax.lax
        self.scan = jax.lax.scan

    def relu(self, x: Any) -> Any:
        """Return max(x, 0)."""
        return self.nn.relu(x)

    def softmax(self, x: Any) -> Any:
        """Return exp(x), scaled so that the last axis sums to one."""
        return self.nn.softmax(x, axis=-1)

    def gelu(self, x: Any) -> Any:
        """Return x Φ(x)."""
        return self.nn.gelu(x, approximate=False)

    def conv2d(self, x: Any, weight: Any, bias: Any, padding: int) -> Any:
        """Return the convolution, channels first."""
        return self.lax.conv(x, weight, (1, 1), [(padding, padding)] * 2) + bias[:, None, None]

    def max_pool2d(self, x: Any, size: int) -> Any:
        """Return the largest number of each square."""
        window = (1, 1, size, size)
        return self.lax.reduce_window(x, -self.xp.inf, self.lax.max, window, window, "VALID")

    def cross_entropy(self, scores: Any, labels: Any) -> Any:
        """Return the mean negative log-likelihood of the labels."""
        logs = self.nn.log_softmax(scores)
        return -self.xp.mean(self.xp.take_along_axis(logs, labels[:, None], axis=1))
