"""What the command ends with."""

from typing import Final

OK, FAILED, BAD_CONFIG, CANNOT_START = 0, 1, 2, 3

EXIT_CODES: Final = {
    OK: "Done; of `serve`: stopped in an orderly way.",
    FAILED: "The command found a problem, which it names on standard error.",
    BAD_CONFIG: "The configuration or the command line cannot be used as written.",
    CANNOT_START: "The configuration is sound, but the command cannot start here.",
}
