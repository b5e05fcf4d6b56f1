"""Exit codes of commands, and what is said where an interrupt left nothing."""

DIFFERENT = 1
AT_FAULT = 2  # the input is, or no design meets the limits
INTERRUPTED = 130
BROKEN_PIPE = 141

STOPPED = "dlco: interrupted; nothing was written"
