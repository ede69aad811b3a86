"""What PyTorch's users rely on about `gradcheck`."""

from behaviours.table import Table, leaf

checks = Table("gradcheck")


def cube(x):
    return x * x * x


@checks("`gradcheck` is True where a derivative is right")
def gradcheck_passes(ag):
    return ag.autograd.gradcheck(cube, [leaf(ag)])


@checks("and an error where it is wrong", error="Jacobian mismatch for output 0 with respect to input 0")
def gradcheck_fails(ag):
    ag.autograd.gradcheck(lambda x: x * x.detach(), [leaf(ag)])


@checks("or False, with `raise_exception=False`")
def gradcheck_gives_false(ag):
    return ag.autograd.gradcheck(lambda x: x * x.detach(), [leaf(ag)], raise_exception=False)


@checks("`check_forward_ad` checks forward mode as well")
def gradcheck_forward(ag):
    return ag.autograd.gradcheck(cube, [leaf(ag)], check_forward_ad=True)


@checks("`check_batched_grad` checks batches of cotangents")
def gradcheck_batched(ag):
    return ag.autograd.gradcheck(cube, [leaf(ag)], check_batched_grad=True)


@checks("`fast_mode` checks along one direction")
def gradcheck_fast(ag):
    wrong = ag.autograd.gradcheck(lambda x: x * x.detach(), [leaf(ag)], fast_mode=True, raise_exception=False)
    return ag.autograd.gradcheck(cube, [leaf(ag)], fast_mode=True), wrong


@checks("a function of complex numbers is checked")
def gradcheck_complex(ag):
    return ag.autograd.gradcheck(lambda z: z * ag.conj(z), [ag.tensor([1.0 + 2.0j], requires_grad=True)])


@checks("`eps`, `atol` and `rtol` are how exactly")
def gradcheck_tolerances(ag):
    return [
        ag.autograd.gradcheck(cube, [leaf(ag)], eps=1e-1, atol=atol, rtol=0.0, raise_exception=False)
        for atol in (1e-6, 1e-1)
    ]


@checks("single precision warns", warning="double precision")
def gradcheck_single(ag):
    x = ag.tensor([1.0], dtype=ag.float32, requires_grad=True)
    ag.autograd.gradcheck(cube, [x], raise_exception=False)


@checks("inputs of which none requires grad are an error", error="gradcheck expects at least one input tensor")
def gradcheck_of_nothing(ag):
    ag.autograd.gradcheck(cube, [ag.ones(2)])


@checks("`gradgradcheck` checks second derivatives")
def gradgradcheck_passes(ag):
    return ag.autograd.gradgradcheck(cube, [leaf(ag)])


@checks("and finds a wrong one", error="Jacobian mismatch")
def gradgradcheck_fails(ag):
    ag.autograd.gradgradcheck(lambda x: x * x * x.detach(), [leaf(ag)])
