"""The command ``fastgru``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fastgru import __version__

DEFAULT_OUTPUT = Path("fastgru-demo")
DEFAULT_EPOCHS = 40
DEFAULT_SEED = 0
PURPOSES = ("predict", "stream", "fit")  # of ``warmup``


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments without the name of the program; None takes those of the process.

    Returns
    -------
    status : int
        Exit status, 0 for success.
    """
    arguments = make_parser().parse_args(argv)
    if arguments.command == "info":
        from fastgru._versions import show_versions

        show_versions()
        return 0

    if arguments.command == "warmup":
        from fastgru._warmup import warmup

        warmup(arguments.purposes, dtype=arguments.dtype)
        return 0

    if arguments.command == "convert":
        return _convert(arguments.source, arguments.target)

    from fastgru._demo import run_demo

    return run_demo(arguments.output, epochs=arguments.epochs, seed=arguments.seed)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="fastgru",
        description="A fast GRU for CPUs behind scikit-learn estimators.",
    )
    parser.add_argument("--version", action="version", version=f"fastgru {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="learn to recognise spoken digits and show how well it went",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="folder for the pictures and the model",
    )
    demo.add_argument(
        "--epochs",
        type=_positive_int,
        default=DEFAULT_EPOCHS,
        metavar="N",
        help="passes over the training recordings",
    )
    demo.add_argument(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        metavar="N",
        help="seed of the split, the initial weights and the order of training",
    )
    commands.add_parser("info", help="print versions and machine, for a bug report")

    warmup = commands.add_parser(
        "warmup",
        help="compile what a deployment needs and keep it in the cache",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    warmup.add_argument(
        "purposes",
        nargs="*",
        type=_purpose,
        default=PURPOSES,
        metavar="PURPOSE",
        help=f"what is needed, of {', '.join(PURPOSES)}",
    )
    warmup.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="type of parameters and inputs",
    )

    convert = commands.add_parser(
        "convert",
        help="convert a model's file to one of another kind",
        description=(
            "Convert a model's file to one of another kind. The suffixes tell the "
            "kinds: .safetensors (of fastgru; read as well of PyTorch), .pt and .pth "
            "(a state dict of PyTorch), .keras and .onnx."
        ),
    )
    convert.add_argument(
        "source", type=Path, metavar="IN", help="file to read the model from"
    )
    convert.add_argument(
        "target", type=Path, metavar="OUT", help="file to write; replaced if it exists"
    )
    return parser


def _convert(source: Path, target: Path) -> int:
    """Convert a file, and say what was done, or in one line why it was not."""
    from fastgru.exchange.convert import convert

    try:
        for line in convert(source, target):
            print(line)
    except (ImportError, OSError, TypeError, ValueError) as error:
        message = " ".join(str(error).split())
        print(f"fastgru convert: {message}", file=sys.stderr)
        return 1
    return 0


def _purpose(text: str) -> str:
    """Return a command line argument if it is a purpose of ``warmup``."""
    if text not in PURPOSES:
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(PURPOSES)}, got {text!r}"
        )
    return text


def _positive_int(text: str) -> int:
    """Return a command line argument as an integer above zero."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
