"""One kind of error for everything a user can put right, and the way it ends a program."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable

# 128 + SIGINT, what a shell reports for a program ended by Ctrl-C.
INTERRUPTED_STATUS = 130
# Characters.
LONGEST_SENTENCE = 1000
# Parts of messages that say that memory ran out: of torch, C++, Python and its loader, which raise
# RuntimeError or ImportError, and of the libraries below, which have one class for everything.
_OUT_OF_MEMORY = (
    *("not enough memory", "allocate memory", "nsufficient memory", "out of memory"),
    *("bad_alloc", "bad allocation", "could not create a primitive"),
    *("can't start new thread", "failed to map segment"),
)
_ONE_CLASS = ("cv2", "onnxruntime")


class UserError(Exception):
    """Bad input, said in one sentence: what, where, what was expected, what to do.

    What a terminal would act upon (line ends, escapes) or could not show (a byte of a file's name
    that is not UTF-8) is spelt out, as \\x1b: the sentence may repeat what stands in somebody
    else's file. For the same reason the middle of an endless one is left out.
    """

    def __init__(self, sentence: str) -> None:
        text = "".join(c if c.isprintable() else _spelt_out(c) for c in sentence)
        if len(text) > LONGEST_SENTENCE:
            text = f"{text[: LONGEST_SENTENCE // 2]} ... {text[5 - LONGEST_SENTENCE // 2 :]}"
        super().__init__(text)


def run_main(main: Callable[[], None]) -> None:
    """Run a program's `main` and end the process with a clear sentence and a status.

    `UserError`, operating-system errors (a full disk, a missing right) and too little memory end
    in one line on stderr and status 1, Ctrl-C in one line (the interrupt's own, if it has one) and
    status 130. Anything else is a defect of ours and keeps its traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may be no text, and not every terminal knows every letter.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main()
    except UserError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt as interrupt:
        sentence = str(interrupt) or "interrupted; outputs of before are untouched."
        _fail(sentence, INTERRUPTED_STATUS)
    except BrokenPipeError:
        # The reader went away (`… | head`). Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if is_out_of_memory(error):
            _fail(
                "the memory of the computer or GPU is too small, or a limit of it (ulimit, a "
                "container's) is too low; end other programs, or lower what needs it "
                "(crop.resolution and crop.context in params.yaml, the size of the images), and "
                "run the same command again.",
                1,
            )
        if not isinstance(error, OSError):
            raise
        _fail(describe_os_error(error), 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of any library says that memory ran out."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    # Not of other classes: their messages repeat what stands in somebody's file.
    by_text = (
        isinstance(error, RuntimeError | ImportError)
        # Brought over from another process, where its number is lost.
        or (isinstance(error, OSError) and error.errno is None)
        or type(error).__module__.split(".")[0] in _ONE_CLASS
    )
    return by_text and any(part in str(error) for part in _OUT_OF_MEMORY)


def describe_os_error(error: OSError) -> str:
    """Return one sentence for an operating-system error, with what to do about a full disk."""
    where = f" while writing or reading {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}; free some space and run the same command again."
    return f"{error.strerror or error}{where}; put that right and run the same command again."


def _spelt_out(letter: str) -> str:
    # Python has U+DC80 to U+DCFF for such bytes.
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def _fail(sentence: str, status: int) -> None:
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    sys.exit(status)
