"""From raw TIFF to cells, traces and events: fluorspar and Suite2p in the same run on the same file.

    pip install suite2p==0.14.4 'numpy<2' 'scipy<1.14' 'numba<0.60' 'imagecodecs<2025'
    python pipeline.py FLUORSPAR MOVIE.tif RATE [--runs 2] [--memory 4GiB]

FLUORSPAR is the program, RATE the movie's frame rate in Hz. Runs take turns; each peer's best time
counts. Suite2p 0.14.4 needs `field(default_factory=...)` for `rsort` in detection/stats.py to start.
Without Suite2p only fluorspar is timed.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE2P = """
import os, resource, sys, time
import suite2p
movie, work, rate = os.path.abspath(sys.argv[1]), sys.argv[2], float(sys.argv[3])
ops = suite2p.default_ops()
ops.update(fs=rate, tau=1.0, nonrigid=True, do_regmetrics=False, save_path0=work)
db = dict(data_path=[os.path.dirname(movie)], tiff_list=[os.path.basename(movie)], save_path0=work)
begun = time.perf_counter()
suite2p.run_s2p(ops=ops, db=db)
print("took", time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def fluorspar(program, movie: Path, rate: float, memory: str, work: Path) -> tuple[float, float, dict]:
    config = f'[experiment]\nname = "bench"\nframe_rate = {rate}\n\n[[session]]\nday = 1\nmovie = "{movie}"\n'
    (work / "experiment.toml").write_text(config)
    begun = time.perf_counter()
    command = [program, "run", work / "experiment.toml", "--out", work / "run", "--memory", memory, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - begun
    record = json.loads((work / "run" / "run.json").read_text())
    stages = {name: stage["seconds"] for name, stage in record["stages"].items()}
    return took, record["peak_memory_bytes"], stages


def suite2p(movie: Path, rate: float, work: Path) -> tuple[float, float]:
    command = [sys.executable, "-c", SUITE2P, movie, work, str(rate)]
    out = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
    took, peak = out.rsplit("took", 1)[1].split()
    return float(took), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("movie", type=Path)
    parser.add_argument("rate", type=float)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--memory", default="4GiB")
    asked = parser.parse_args()
    peer = importlib.util.find_spec("suite2p") is not None
    ours, theirs = [], []
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory() as work:
            ours.append(fluorspar(asked.program, asked.movie.resolve(), asked.rate, asked.memory, Path(work)))
        if peer:
            with tempfile.TemporaryDirectory() as work:
                theirs.append(suite2p(asked.movie, asked.rate, Path(work)))
    took, peak, stages = min(ours, key=lambda run: run[0])
    print(f"fluorspar {took:.1f} s, {peak / 2**30:.2f} GiB: " + ", ".join(f"{k} {v:.1f} s" for k, v in stages.items()))
    if theirs:
        other, held = min(theirs)
        print(f"Suite2p   {other:.1f} s, {held / 2**30:.2f} GiB")
        print(f"Suite2p takes {other / took:.1f} times as long, and {held / peak:.1f} times as much memory")


if __name__ == "__main__":
    main()
