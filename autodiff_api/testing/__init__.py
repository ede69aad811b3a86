"""The laws that every op obeys on every backend, and the kit by which anybody's backend is checked.

Beside the house: nothing else imports it. A stranger needs :mod:`autodiff_api.testing.conformance` only; the table
of samples is :mod:`autodiff_api.testing.samples`, the laws :mod:`autodiff_api.testing.laws`.
"""
