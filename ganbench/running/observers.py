"""Events for observer plugins and loggers; one that raises causes a warning, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from ganbench.running.events import Evaluated, Finished, SessionEvent, Started
from ganbench.running.loggers import Loggers
from ganbench.storage.records import StackConfig, StackInfo
from ganbench.storage.stack_folder import StackFolder


class Observers:
    """Passes events on to the hooks of plugins and to loggers.

    Arguments:
        warn: shows a warning to the user.
    """

    def __init__(self, manager: pluggy.PluginManager, loggers: Loggers, warn: Callable[[str], None]) -> None:
        self._hook, self._loggers, self._warn = manager.hook, loggers, warn

    def event(self, event: SessionEvent, folder: StackFolder, config: StackConfig) -> None:
        """Something happened to the stack in that folder."""
        stack = stack_info(folder, config)
        match event:
            case Started(step=step):
                stack["step"] = step
                self._call(self._hook.ganbench_stack_started, stack=stack)
                self._loggers.started(stack)
            case Evaluated(step=step, rows=rows):
                self._call(self._hook.ganbench_evaluated, stack=stack, step=step, rows=rows)
                self._loggers.evaluated(stack, step, rows)
            case Finished(rows=runs):
                self._call(self._hook.ganbench_stack_finished, stack=stack, runs=runs)
                self._loggers.finished(stack, runs)

    def _call(self, hook: pluggy.HookCaller, **arguments: object) -> None:
        """Call one observer after another (pluggy would stop at the first that raises)."""
        # reversed: pluggy keeps the implementations in the order of registration, and calls the last first
        for observer in reversed(hook.get_hookimpls()):
            try:
                # as pluggy does: an observer declares only those arguments that it uses
                observer.function(**{name: arguments[name] for name in observer.argnames})
            except Exception as error:
                raised = f"{type(error).__name__}: {error}"
                self._warn(f"an observer of the plugin {observer.plugin_name!r} raised {raised}")


def stack_info(folder: StackFolder, config: StackConfig) -> StackInfo:
    """The stack as observers and loggers see it."""
    return {
        "id": folder.path.name,
        "label": config["label"],
        "variants": config["labels"],
        "seeds": config["seeds"],
        "keys": config["keys"],
        "configs": config["variants"],
        "swept": config["swept"],
        "steps": config["variants"][0]["steps"],
        "engine": config["engine"],
        "folder": str(folder.path),
    }
