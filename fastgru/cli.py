"""The command ``fastgru``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

    if arguments.command == "text":
        return _run_text(vars(arguments))

    from fastgru._demo import run_demo

    return run_demo(arguments.output, epochs=arguments.epochs, seed=arguments.seed)


def _run_text(options: dict[str, Any]) -> int:
    """Run a command of ``fastgru text`` with the parsed arguments."""
    from fastgru._text import run_generate, run_train

    is_training = options.pop("text_command") == "train"
    del options["command"]
    return run_train(**options) if is_training else run_generate(**options)


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
    _add_text(commands)
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


def _add_text(commands: Any) -> None:
    """Add the commands of ``fastgru text``."""
    defaults = argparse.ArgumentDefaultsHelpFormatter
    text = commands.add_parser("text", help="learn from a text, and write on")
    own = text.add_subparsers(dest="text_command", required=True, metavar="COMMAND")

    train = own.add_parser(
        "train", help="learn what comes next in a text", formatter_class=defaults
    )
    train.add_argument("file", type=Path, metavar="FILE", help="text in UTF-8")
    train.add_argument(
        "--out", type=Path, required=True, metavar="MODEL", help="file to write"
    )
    train.add_argument(
        "--level", choices=("char", "word"), default="char", help="what a token is"
    )
    train.add_argument(
        "--letters-only",
        action="store_true",
        help="read letters in lower case and spaces only",
    )
    numbers = {
        "hidden-size": (256, "units of a layer"),
        "num-layers": (1, "layers"),
        "num-steps": (35, "tokens of a window"),
        "batch-size": (32, "windows side by side"),
        "min-frequency": (1, "how often a token of the vocabulary occurs at least"),
        "epochs": (100, "passes over the text"),
    }
    for name, (default, told) in numbers.items():
        train.add_argument(
            f"--{name}", type=_positive_int, default=default, metavar="N", help=told
        )
    train.add_argument(
        "--embedding-dim",
        type=_positive_int,
        metavar="N",
        help="length of the vector of a token; without it vectors are one-hot",
    )
    train.add_argument(
        "--learning-rate",
        dest="learning_rate_init",
        type=float,
        default=2e-3,
        metavar="RATE",
        help="of Adam",
    )
    train.add_argument(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        metavar="N",
        help="seed of the initial weights and the places of cuts",
    )

    generate = own.add_parser(
        "generate", help="go on with a text", formatter_class=defaults
    )
    generate.add_argument(
        "model_file", type=Path, metavar="MODEL", help="what train wrote"
    )
    generate.add_argument("--prefix", required=True, help="how the text begins")
    generate.add_argument(
        "--length", type=_positive_int, default=200, metavar="N", help="tokens to add"
    )
    generate.add_argument(
        "--temperature",
        type=float,
        default=0.0,
        metavar="X",
        help="0 takes the most probable token each time, more draws among others",
    )
    generate.add_argument(
        "--top-k", type=_positive_int, metavar="N", help="draw among so many at most"
    )
    generate.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, metavar="N", help="of the draws"
    )


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
