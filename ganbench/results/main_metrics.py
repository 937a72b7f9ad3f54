"""Which metric stands for a variant where one number is shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ganbench.errors import BadInput, nearest


def main_metrics(
    metrics: Mapping[str, Sequence[str]],
    taken: Collection[tuple[str, str]],
    own: Mapping[str, str | None],
    asked: str | None,
) -> dict[str, str]:
    """Variant -> its main metric, without variants that do not take it.

    Arguments:
        metrics: variant -> the metrics that it is configured to take.
        taken: (variant, metric) of all evaluations at hand.
        own: variant -> the metric that its suite compares by.
        asked: the metric that the caller named, in place of the suites'. BadInput if no variant takes it.
    """
    known = {name for names in metrics.values() for name in names}
    if asked is not None and asked not in known:
        raise BadInput(f"no variant takes the metric {asked!r}; {nearest(asked, known)}")
    evaluated = {variant for variant, _ in taken}
    main = {}
    for variant, names in metrics.items():
        metric = asked or own[variant]
        # A variant without evaluations keeps its configured metric: its failed runs count as worst in it.
        measured = [name for name in names if variant not in evaluated or (variant, name) in taken]
        if metric in names:
            main[variant] = str(metric)
        # Another metric never stands in for one that the caller named.
        elif measured and asked is None:
            main[variant] = measured[0]
    return main
