"""A package is missing."""

import no_such_package_of_anyone

import ganbench


@ganbench.hookimpl
def ganbench_losses():
    return [no_such_package_of_anyone.Loss]
