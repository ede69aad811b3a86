"""What PyTorch's users rely on about `torch.autograd.graph`: nodes, what they save, and who watches."""

from behaviours.table import Table, leaf

graph = Table("graph")


# nodes


@graph("`grad_fn.name()` names the operation")
def name(ag):
    x = leaf(ag)
    return [y.grad_fn.name().lower()[:3] for y in (x * x, x.exp(), x.sum())]


@graph("`grad_fn` is a `Node`")
def nodes(ag):
    return isinstance(leaf(ag).exp().grad_fn, ag.autograd.graph.Node)


@graph("`next_functions` has a pair for each input, None for a constant")
def next_functions(ag):
    x = leaf(ag)
    pairs = (x.exp() * ag.ones(2)).grad_fn.next_functions
    return [node is None for node, _ in pairs], [place for _, place in pairs]


@graph("at its end, the node of a leaf has the leaf as its `variable`")
def variable(ag):
    x = leaf(ag)
    ((node, _),) = x.exp().grad_fn.next_functions
    return node.variable is x, node.next_functions


@graph("two results of one operation share their node")
def shared_node(ag):
    x = ag.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
    values, vectors = ag.linalg.eigh(x)
    edges = [ag.autograd.graph.get_gradient_edge(y) for y in (values, vectors)]
    return [edge.output_nr for edge in edges]


@graph("`register_prehook` sees a node's cotangents, and may replace them")
def prehook(ag):
    x, seen = leaf(ag), []
    y = x * 3.0

    def hook(cotangents):
        seen.extend(cotangents)
        return tuple(g * 10.0 for g in cotangents)

    y.grad_fn.register_prehook(hook)
    y.sum().backward()
    return seen, x.grad


@graph("`register_hook` sees what comes out as well, and may replace it")
def node_hook(ag):
    x, seen = leaf(ag), []
    y = x.exp()

    def hook(outputs, inputs):
        seen.append(len(outputs))
        seen.extend(inputs)
        return tuple(g * 0.0 + 5.0 for g in outputs)

    y.grad_fn.register_hook(hook)
    y.sum().backward()
    return seen, x.grad


@graph("their handles remove them")
def node_hook_removed(ag):
    x = leaf(ag)
    y = x * 2.0
    y.grad_fn.register_hook(lambda outputs, inputs: (outputs[0] * 10.0, *outputs[1:])).remove()
    y.grad_fn.register_prehook(lambda cotangents: (cotangents[0] * 10.0,)).remove()
    y.sum().backward()
    return x.grad


@graph("a node has room for anything in `metadata`")
def metadata(ag):
    y = leaf(ag).exp()
    y.grad_fn.metadata["note"] = 1
    return y.grad_fn.metadata


@graph("`get_gradient_edge` names a place in the graph without its tensor")
def gradient_edge(ag):
    x = leaf(ag)
    y = x.exp()
    edge = ag.autograd.graph.get_gradient_edge(y)
    z = (y * y).sum()
    del y
    return edge.output_nr, edge.node.name().lower()[:3], ag.autograd.grad(z, edge)


@graph("and a leaf's edge stands for the leaf")
def gradient_edge_of_a_leaf(ag):
    x = leaf(ag)
    edge = ag.autograd.graph.get_gradient_edge(x)
    return ag.autograd.grad((x * x).sum(), edge)


# saved tensors


@graph("`saved_tensors_hooks`: what is saved is packed, and unpacked when it is needed")
def saved_hooks(ag):
    x, packed, unpacked = leaf(ag), [], []

    def pack(t):
        packed.append(t.detach())
        return len(packed) - 1

    def unpack(i):
        unpacked.append(i)
        return packed[i]

    with ag.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = x.exp()
    recorded = len(packed), len(unpacked)
    y.sum().backward()
    return recorded, packed, unpacked, x.grad


@graph("what `unpack` returns is what backward computes with")
def unpacked_is_used(ag):
    x = leaf(ag)
    with ag.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t * 10.0):
        y = x.exp()
    y.sum().backward()
    return x.grad


@graph("the innermost pair of hooks holds")
def innermost_hooks(ag):
    x, seen = leaf(ag), []

    def noting(name):
        return ag.autograd.graph.saved_tensors_hooks(lambda t: (seen.append(name), t)[1], lambda t: t)

    with noting("outer"), noting("inner"):
        x.exp()
    return seen


@graph("nothing is packed where nothing is recorded")
def nothing_packed(ag):
    seen = []
    with ag.no_grad(), ag.autograd.graph.saved_tensors_hooks(seen.append, lambda t: t):
        leaf(ag).exp()
    return seen


@graph("`save_on_cpu` changes no gradient")
def save_on_cpu(ag):
    x = leaf(ag)
    with ag.autograd.graph.save_on_cpu():
        y = x.exp() * x
    y.sum().backward()
    return x.grad


@graph("`disable_saved_tensors_hooks(text)` refuses hooks with the text", error="not here, please")
def disabled_hooks(ag):
    hooks = ag.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t)
    with ag.autograd.graph.disable_saved_tensors_hooks("not here, please"), hooks:
        leaf(ag).exp()


# hooks of several tensors


@graph("`register_multi_grad_hook` runs once, when all gradients are there")
def multi_hook_all(ag):
    x, y, seen = leaf(ag), leaf(ag), []
    a, b = x * 2.0, y * 3.0
    ag.autograd.graph.register_multi_grad_hook((a, b), lambda grads: seen.append(grads))
    (a * b).sum().backward()
    return seen


@graph("with None for a tensor that has none")
def multi_hook_none(ag):
    x, y, seen = leaf(ag), leaf(ag), []
    a, b = x * 2.0, y * 3.0
    ag.autograd.graph.register_multi_grad_hook((a, b), lambda grads: seen.append(grads))
    a.sum().backward()
    return seen


@graph("`mode='any'` runs at the first")
def multi_hook_any(ag):
    x, seen = leaf(ag), []
    a = x * 2.0
    b = a * 3.0
    ag.autograd.graph.register_multi_grad_hook((a, b), lambda g: seen.append(g), mode="any")
    b.sum().backward()
    return seen


@graph("its handle removes it")
def multi_hook_removed(ag):
    x, seen = leaf(ag), []
    ag.autograd.graph.register_multi_grad_hook((x,), seen.append).remove()
    x.sum().backward()
    return seen


# rules that are missing


def underived(ag):
    """Give a function without a derivative: PyTorch's zeta has none, and an operation of one's own none at first."""
    if not hasattr(ag, "op"):
        return lambda x: ag.special.zeta(x, ag.tensor(2.0))

    @ag.op
    def underived(x, /, *, xp):
        return xp.sin(x)

    return underived


@graph("an operation without a derivative can be recorded")
def missing_rule_forward(ag):
    y = underived(ag)(leaf(ag))
    return y.requires_grad, y.is_leaf


@graph("it is an error to go backward through it", error="is not implemented")
def missing_rule_backward(ag):
    underived(ag)(leaf(ag)).sum().backward()
