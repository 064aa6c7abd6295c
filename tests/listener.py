"""A reporter that remembers what it was asked to warn of."""

from murace.system.progress import Reporter


class Listener(Reporter):
    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)
