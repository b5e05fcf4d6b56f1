"""Feed damaged files to dlco's readers, guided by the code they reach: `python tests/reliability/fuzz.py xml onnx`.

Every input is a good file damaged in bytes, tokens, lines or entries, blown up by aliases or packing, or what libFuzzer
bred from such files. A reader may read it, and use what it read, or raise a `DlcoError`; any other exception, more
memory than 300 MiB above what the process began with, or more time than a file of its size may take ends the reader's
run, and the input is kept in a file that is named. Needs atheris (`pip install atheris`), but for `--unguided`.
"""

import argparse
import contextlib
import logging
import os
import random
import re
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNGUIDED = "--unguided" in sys.argv
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
if not UNGUIDED:
    import atheris
with contextlib.nullcontext() if UNGUIDED else atheris.instrument_imports(include=["dlco"]):
    from tests.reliability.mutate import mutate
    from tests.reliability.readers import LIMIT_MB, READERS, bounded

LIMIT_S = 60  # after which libFuzzer gives up, where the alarm of `bounded` could not
LARGEST = 1 << 16


def fuzz(name: str, runs: int, seed: int, folder: Path) -> None:
    """Run one reader in this process, which libFuzzer ends; inputs that fail are left in `folder`."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    reader = READERS[name]
    seeds = reader.seeds
    corpus = folder / "corpus"
    corpus.mkdir()
    for i, content in enumerate(seeds):
        (corpus / str(i)).write_bytes(content)

    def one_input(data: bytes) -> None:
        with bounded(len(data)):
            reader.survives(data)

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.2:
            data = rng.choice(seeds)
        if rng.random() < 0.2:
            return atheris.Mutate(data, max_size)
        return mutate(data, reader.kind, rng)[:max_size]

    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + LIMIT_MB
    options = [f"-runs={runs}", f"-seed={seed}", f"-timeout={LIMIT_S}", f"-rss_limit_mb={most_mb}"]
    options += [f"-max_len={LARGEST}", "-print_final_stats=1", f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=mutator)
    atheris.Fuzz()


def damage(name: str, runs: int, seed: int, folder: Path) -> None:
    """Run one reader on damaged good files in this process; an input that fails is left in `folder`."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    reader = READERS[name]
    for number in range(runs):
        rng = random.Random(f"{name} {seed} {number}")
        data = mutate(rng.choice(reader.seeds), reader.kind, rng)
        (folder / "input").write_bytes(data)
        with bounded(len(data)):
            reader.survives(data)
    print(f"number_of_executed_units: {runs}", flush=True)
    os._exit(0)


def supervised(name: str, runs: int, seed: int) -> bool:
    """Run one reader in a process of its own and print what came of it; whether it survived."""
    folder = Path(tempfile.mkdtemp(prefix=f"dlco-fuzz-{name}-"))
    log = folder / "log"
    pid = os.fork()
    if pid == 0:
        out = os.open(log, os.O_CREAT | os.O_WRONLY)
        os.dup2(out, 1)
        os.dup2(out, 2)
        try:
            (damage if UNGUIDED else fuzz)(name, runs, seed, folder)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(1)
    _, status, used = os.wait4(pid, 0)
    text = log.read_text(errors="replace")
    done = re.search(r"number_of_executed_units: (\d+)", text)
    new = re.search(r"new_units_added: +(\d+)", text)
    print(
        f"{name}: {done[1] if done else '?'} inputs, {new[1] if new else '?'} of which reached something new, "
        f"{used.ru_utime + used.ru_stime:.1f} CPU s, peak {used.ru_maxrss / 1024:.0f} MiB",
        flush=True,
    )
    if status:
        print(text[-4000:], f"{name}: see {folder}", sep="\n", flush=True)
    return status == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="reader", help=f"all, where none is named: {', '.join(READERS)}")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs, shared out among the readers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unguided", action="store_true", help="damaged good files alone, without atheris")
    options = parser.parse_args()
    if unknown := set(options.readers) - set(READERS):
        parser.error(f"no reader {', '.join(sorted(unknown))}; there are {', '.join(READERS)}")
    names = options.readers or list(READERS)
    failed = [name for name in names if not supervised(name, -(-options.runs // len(names)), options.seed)]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
