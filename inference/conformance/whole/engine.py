"""onnxruntime with one model in one process, measured on demand as `examples/whole/serve.rs` is.

Every optimisation is on and threads do not spin: what waits for the next request must not take the
core from the engine beside it. The arena is off where memory is asked for, since it keeps what it
once had.
"""

import json
import pathlib
import statistics
import sys
import time

import numpy
import onnxruntime

from . import cases


def resident(field):
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))


def say(value):
    print(json.dumps(value), flush=True)


def run(session, request, times):
    walls, cpu = [], time.process_time_ns()
    for _ in range(times):
        start = time.perf_counter_ns()
        session.run(None, request)
        walls.append(time.perf_counter_ns() - start)
    cpu = time.process_time_ns() - cpu
    return {"wall_s": statistics.median_high(walls) / 1e9, "cpu_s": cpu / times / 1e9}


def session_of(path, threads, is_arena_on=True):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = is_arena_on
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def serve(folder, threads, is_arena_on):
    request = cases.read(folder)["requests"][0]
    before = resident("VmRSS:")
    session = session_of(folder / "model.onnx", threads, is_arena_on)
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    say({"version": onnxruntime.__version__, "numpy": numpy.__version__})
    for line in sys.stdin:
        match line.split():
            case ["run", times]:
                say(run(session, request, int(times)))
            case ["memory"]:
                say({"resident_before_bytes": before, "resident_bytes": resident("VmRSS:"),
                     "resident_peak_bytes": resident("VmHWM:")})
            case other:
                raise SystemExit(f"unknown question {other}")
