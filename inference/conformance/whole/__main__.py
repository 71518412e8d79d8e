"""Whole models beside onnxruntime.

    python -m whole write DIR SIZE [NAME ...]   cases below DIR/cases; SIZE is small or full
    python -m whole check DIR                   compares answers, which `examples/whole` wrote, with onnxruntime's and
                                                with the exact ones; ends with 1 where one is wrong or refused
    python -m whole verdicts DIR                the same as JSON, in the order of the models
    python -m whole engine CASE THREADS MODE    measures onnxruntime on demand; MODE is speed or memory
"""

import logging
import pathlib
import sys


def main(words):
    match words:
        case ["write", folder, size, *names]:
            from . import cases, models
            # The quantiser recommends a step for models whose shapes are not known.
            logging.getLogger().setLevel(logging.ERROR)
            known = {"small": models.SMALL, "full": models.FULL}[size]
            for name in names:
                if name not in known:
                    raise SystemExit(f"no model is called {name}: {' '.join(known)} are")
            for place, (name, build) in enumerate(known.items()):
                if not names or name in names:
                    cases.write(pathlib.Path(folder) / "cases", place, name, build(name))
        case ["check", folder]:
            from . import check
            raise SystemExit(check.check_all(pathlib.Path(folder)))
        case ["verdicts", folder]:
            from . import check
            check.print_verdicts(pathlib.Path(folder))
        case ["engine", folder, threads, "speed" | "memory" as mode]:
            from . import engine
            engine.serve(pathlib.Path(folder), int(threads), mode == "speed")
        case _:
            raise SystemExit(__doc__)


main(sys.argv[1:])
