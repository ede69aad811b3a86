"""What the library costs, beside its peers: ``python -m autodiff_api bench``.

A chapter is a module with a table `WORKS`; a work is one thing that several contenders do, and a bar is the largest
ratio of our time to a peer's that we accept. `command` runs chapters in fresh processes, whose threads are set before
NumPy is loaded; `rows` has the words, `timing` the clock, `report` the tables.
"""
