"""How maps are made: by which method, and at which multiples of the net's input size."""

from dataclasses import dataclass

from murace.errors import UsageError
from murace.explain.cam.activation import NO_MAP, activation_maps
from murace.explain.cam.gradient import grad_cam, grad_cam_plus
from murace.explain.cam.maps import Method
from murace.vocabulary import METHODS, closest

MAP_FUNCTIONS: dict[str, Method] = dict(zip(METHODS, (activation_maps, grad_cam, grad_cam_plus), strict=True))
SIGNED = ("cam", "gradcam")  # in logits, towards abnormal or normal; the other has no unit and no sign
MOST = 4  # times the input size: sixteen times the work


@dataclass(frozen=True)
class MapMethod:
    """A method and the multiples of the input size that its maps are averaged over; the first is always 1.

    Raises:
        UsageError: unknown method, or multiples that are not rising whole numbers from 1 to 4.
    """

    method: str = "cam"
    scales: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"--method: unknown method '{self.method}'{closest(self.method, METHODS)}")
        rising = list(self.scales) == sorted(set(self.scales))
        if not self.scales or self.scales[0] != 1 or not rising or self.scales[-1] > MOST:
            raise UsageError(f"--scales must be rising whole numbers from 1 to {MOST} and begin with 1, such as 1,2")

    @classmethod
    def of(cls, method: str, scales: str) -> "MapMethod":
        """From the command line's words, such as `gradcam` and `1,2`.

        Raises:
            UsageError: they name no method, or no scales.
        """
        numbers = scales.split(",")
        if not all(number.isascii() and number.isdecimal() and len(number) < 3 for number in numbers):
            raise UsageError(f"--scales must be whole numbers such as 1,2, not '{scales[:40]}'")
        return cls(method, tuple(int(number) for number in numbers))

    @property
    def name(self) -> str:
        """For tables and captions, such as `cam 1x+2x`."""
        return f"{self.method} {'+'.join(f'{scale}x' for scale in self.scales)}"

    @property
    def is_signed(self) -> bool:
        """Whether the maps are in logits; otherwise they are shares of their own maximum."""
        return self.method in SIGNED

    def require(self, head: str, *, who: str) -> None:
        """Make sure that a net with `head` has such maps; `who` names it in the message.

        Raises:
            UsageError: it has none.
        """
        if head == "gap":
            return
        if self.method == "cam":
            raise UsageError(f"{NO_MAP}: {who} has none; or take --method gradcam --scales 1")
        if self.scales != (1,):
            raise UsageError(f"a net with --head fc sees one input size only ({who}): take --scales 1")


DEFAULT_MAP_METHOD = MapMethod()
