"""fluorspar-deconvolve beside Suite2p's OASIS and oasis-deconv: accuracy against spikes, and speed.

    spikes.py truth DATA_DIR --examples DIR [--suite2p PYTHON] [--ar2]
    spikes.py speed --examples DIR [--traces 512] [--frames 10000] [--repeats 5]

`truth`: DATA_DIR holds one .npz per recording with simultaneous electrophysiology, its name beginning with the data
set (DS09_...): `dff (frame)`, `time_s (frame)`, `spike_times_s`. All are resampled to the median frame interval, less a
maximin baseline (Gaussian of a third of a second, minimum and maximum over 60 s); events and spikes, counted on the same
grid, are smoothed with Gaussians of 200 and 50 ms; r is Pearson's, and the table shows medians over a set's recordings.
No method sees the spikes, but for `best tau`, AR(1) with the decay of 0.15, 0.3, 0.7, 1.25 and 2 s that is best per set
and smoothing. Suite2p's is its own baseline and deconvolution with its defaults (tau 1 s, 10 frames, 60 s); oasis-deconv
is `deconvolve(y)` with defaults, with --ar2 also of second order. `shift` is how far events have to be moved later for
the greatest r (at 50 ms), the median over all recordings.

`speed`: the bare AR(1) solver on one core and oasis-deconv's oasisAR1 on the same traces in turns; ratios are of each
pair of runs, times are the processor's as each program measures them.

DIR holds the built example: cargo build --release -p fluorspar-deconvolve --examples, target/release/examples.
This script's interpreter needs numpy, scipy and oasis-deconv; PYTHON is one with suite2p.
"""
import argparse
import os
import subprocess
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from oasis.functions import deconvolve
from oasis.oasis_methods import oasisAR1
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d
from scipy.signal import lfilter

WIDTHS_S = (0.2, 0.05)
TAUS_S = (0.15, 0.3, 0.7, 1.25, 2.0)
SUITE2P = """
import sys
import numpy as np, torch
from suite2p.extraction import dcnv
rate = float(sys.argv[2])
f = np.load(sys.argv[1])[None].astype(np.float32)
f = dcnv.preprocess(f, "maximin", 60.0, 10.0, rate, device=torch.device("cpu"))
np.save(sys.argv[3], dcnv.oasis(f, 1, 1.0, rate)[0])
"""


def ours(examples, traces, rate, *arguments):
    """Events of traces (roi, frame), and the seconds that the program says it took."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / "out"
        traces = np.atleast_2d(traces).astype(np.float32)
        traces.tofile(source)
        command = [str(examples / "deconvolve_raw"), str(traces.shape[1]), repr(float(rate)), str(source), str(target)]
        run = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=True)
        return np.fromfile(target, np.float32).reshape(traces.shape), float(run.stderr)


def recordings(folder):
    for path in sorted(folder.glob("*.npz")):
        data = np.load(path)
        times = data["time_s"]
        step = np.median(np.diff(times))
        grid = np.arange(times[0], times[-1], step)
        dff = np.interp(grid, times, data["dff"].astype(float))
        rate = 1 / step
        low = gaussian_filter1d(dff, rate / 3)
        window = int(60 * rate)
        base = maximum_filter1d(minimum_filter1d(low, window), window)
        spikes = np.histogram(data["spike_times_s"], np.append(grid - step / 2, grid[-1] + step / 2))[0]
        yield path.name[:4], path.stem, dff, dff - base, rate, spikes.astype(float)


def suite2p(python, dff, rate):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npy", Path(folder) / "out.npy"
        np.save(source, dff)
        command = [python, "-c", SUITE2P, str(source), repr(float(rate)), str(target)]
        subprocess.run(command, capture_output=True, check=True)
        return np.load(target)


def correlation(events, spikes, rate, width, shift=0):
    a, b = (gaussian_filter1d(np.asarray(v, float), width * rate) for v in (np.roll(events, shift), spikes))
    return np.corrcoef(a, b)[0, 1]


def truth(arguments):
    warnings.simplefilter("ignore")
    rows, shifts, best = defaultdict(lambda: defaultdict(list)), defaultdict(list), defaultdict(lambda: defaultdict(list))
    sets = defaultdict(list)
    for name, stem, dff, y, rate, spikes in recordings(arguments.data):
        sets[name].append((stem, dff, y, rate, spikes))
    for name, members in sets.items():
        frames = max(len(m[2]) for m in members)
        # One block has one frame rate: those of a set differ by 2 % at most. What is missing is a gap.
        block = np.array([np.pad(m[2], (0, frames - len(m[2])), constant_values=np.nan) for m in members])
        together = ours(arguments.examples, block, members[0][3], "--together")[0]
        for index, (stem, dff, y, rate, spikes) in enumerate(members):
            methods = {
                "raw": y,
                "**ours, each alone**": ours(arguments.examples, y, rate)[0][0],
                "ours, set together": together[index][:len(y)],
                "ours, noise constraint": ours(arguments.examples, y, rate, "--sparsity", "noise")[0][0],
                "oasis-deconv": deconvolve(y, penalty=1)[1],
            }
            if arguments.ar2:
                methods["oasis-deconv, AR(2)"] = deconvolve(y, g=(None, None), penalty=1)[1]
            if arguments.suite2p:
                methods["Suite2p"] = suite2p(arguments.suite2p, dff, rate)
            for method, events in methods.items():
                for width in WIDTHS_S:
                    rows[method][name, width].append(correlation(events, spikes, rate, width))
                steps = range(-int(0.2 * rate), int(0.2 * rate) + 1)
                moved = [correlation(events, spikes, rate, WIDTHS_S[1], k) for k in steps]
                shifts[method].append(1000 * steps[int(np.argmax(moved))] / rate)
            for tau in TAUS_S:
                events = oasisAR1(np.ascontiguousarray(y), np.exp(-1 / (tau * rate)))[1]
                for width in WIDTHS_S:
                    best[name, width][tau].append(correlation(events, spikes, rate, width))
    for key, by_tau in best.items():
        rows["best tau of five, AR(1)"][key] = max(by_tau.values(), key=np.median)
    print("| method | " + " | ".join(f"{name} (n = {len(m)})" for name, m in sets.items()) + " | shift, ms |")
    print("|---" * (len(sets) + 2) + "|")
    for method, scores in rows.items():
        cells = [" / ".join(f"{np.median(scores[name, width]):.3f}" for width in WIDTHS_S) for name in sets]
        shift = f"{np.median(shifts[method]):.0f}" if method in shifts else ""
        print(f"| {method} | " + " | ".join(cells) + f" | {shift} |")


def speed(arguments):
    rng = np.random.default_rng(0)
    shape = (arguments.traces, arguments.frames)
    traces = lfilter([1], [1, -0.95], rng.random(shape) < 0.02) + 0.3 * rng.normal(size=shape)
    traces = traces.astype(np.float32)
    doubles = traces.astype(float)
    os.environ["RAYON_NUM_THREADS"] = "1"
    ratios, rates = [], []
    for _ in range(arguments.repeats):
        events, seconds = ours(arguments.examples, traces, 20, "--plain", 0.95)
        start = time.perf_counter()
        theirs = [oasisAR1(trace, 0.95)[1] for trace in doubles]
        peer = time.perf_counter() - start
        ratios.append(peer / seconds)
        rates.append((traces.size / seconds / 1e6, traces.size / peer / 1e6))
    # Theirs counts no event at the first sample.
    worst = np.abs(events - np.array(theirs))[:, 1:].max()
    print(f"fluorspar {np.median([r[0] for r in rates]):.0f}, oasis-deconv {np.median([r[1] for r in rates]):.0f} "
          f"million samples a second and core; ratio {np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}), "
          f"worst difference of an event {worst:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("truth")
    command.add_argument("data", type=Path)
    command.add_argument("--suite2p")
    command.add_argument("--ar2", action="store_true")
    command.set_defaults(run=truth)
    other = commands.add_parser("speed")
    other.add_argument("--traces", type=int, default=512)
    other.add_argument("--frames", type=int, default=10_000)
    other.add_argument("--repeats", type=int, default=5)
    other.set_defaults(run=speed)
    for each in (command, other):
        each.add_argument("--examples", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.run(arguments)


main()
