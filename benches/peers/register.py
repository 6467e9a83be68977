"""fluorspar-register beside Suite2p and NoRMCorre.

    register.py speed REGISTER_SPEED MOVIE.tif [--frames N] [--repeats 3] [--suite2p PYTHON] [--normcorre PYTHON]
    register.py accuracy REGISTER_SPEED FOLDER... [--suite2p PYTHON]

REGISTER_SPEED is the built example `register_speed` of fluorspar-pipeline (target/release/examples), or for
`accuracy` a dash to hear of the peer alone.
`speed` registers a movie from its file into a store on disk, reference included, rigidly and in pieces,
and prints frames per second, peak memory, and how time grows with the length. `accuracy` compares displacements with planted ones, at the centres of
Suite2p's blocks: each FOLDER holds movie.tif and truth.npz with `shape (3)`, `rigid (frame, 2)` and
`warp (frame, 2, n, n)`, control values of a Catmull-Rom cubic spread over each side, all in pixels.

PYTHON is an interpreter of a virtual environment that has the peer: `pip install suite2p zarr tifffile`, or
`pip install jnormcorre 'jax<0.7' 'jaxlib<0.7' tifffile` (NoRMCorre in JAX, for its speed; CaImAn itself is in no
package index). A peer that is not named is left out. This script's own interpreter needs numpy, tifffile and zarr.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np


def catmull_rom(n, k):
    """(n, k) weights of k control values at n places spread evenly over them."""
    u = np.linspace(0, k - 1, n)
    first = np.minimum(u.astype(int), k - 2)
    t = u - first
    taps = [-t**3 + 2 * t**2 - t, 3 * t**3 - 5 * t**2 + 2, -3 * t**3 + 4 * t**2 + t, t**3 - t**2]
    weights = np.zeros((n, k))
    for offset, tap in enumerate(taps):
        np.add.at(weights, (np.arange(n), np.clip(first - 1 + offset, 0, k - 1)), tap / 2)
    return weights


class Truth:
    def __init__(self, folder):
        truth = np.load(os.path.join(folder, "truth.npz"))
        self.frames, self.height, self.width = (int(v) for v in truth["shape"])
        self.rigid, self.warp = truth["rigid"].astype(float), truth["warp"].astype(float)
        self.wy = catmull_rom(self.height, self.warp.shape[2])
        self.wx = catmull_rom(self.width, self.warp.shape[3])

    def at(self, ys, xs):
        """(frame, place, 2) displacement at pixels."""
        parts = np.einsum("pi,tkij,pj->tpk", self.wy[np.asarray(ys, int)], self.warp, self.wx[np.asarray(xs, int)])
        return self.rigid[:, None] + parts

    def whole(self):
        """(frame, 1, 2) displacement averaged over the image."""
        parts = np.einsum("i,tkij,j->tk", self.wy.mean(0), self.warp, self.wx.mean(0))
        return (self.rigid + parts)[:, None]


def error(found, true):
    """Median and 95th percentile of the distance, pixels; the sign is the better one, and a constant per place, which is
    the reference's to choose, is taken off."""
    best = None
    for sign in (1, -1):
        difference = sign * found - true[: len(found)]
        left = np.hypot(*np.moveaxis(difference - np.median(difference, 0, keepdims=True), -1, 0))
        pair = float(np.median(left)), float(np.percentile(left, 95))
        best = pair if best is None else min(best, pair)
    return best


def block_centres(height, width, block=128):
    """Centres of Suite2p's blocks: 128 pixels, half as many again as would fit side by side."""
    def along(length):
        n = 1 if length <= block else int(np.ceil(1.5 * length / block))
        return np.linspace(0, length - min(block, length), n).astype(int) + (min(block, length) - 1) / 2
    ys, xs = np.meshgrid(along(height), along(width), indexing="ij")
    return ys.ravel(), xs.ravel()


def bilinear(field, node_y, node_x, ys, xs):
    """(frame, place, 2) of a field (frame, 2, node y, node x) at places."""
    def taps(nodes, at):
        u = np.clip(np.interp(at, nodes, np.arange(len(nodes))), 0, max(len(nodes) - 1 - 1e-9, 0))
        i = u.astype(int)
        return i, np.minimum(i + 1, len(nodes) - 1), u - i
    (y0, y1, fy), (x0, x1, fx) = taps(node_y, ys), taps(node_x, xs)
    top = field[:, :, y0, x0] * (1 - fx) + field[:, :, y0, x1] * fx
    bottom = field[:, :, y1, x0] * (1 - fx) + field[:, :, y1, x1] * fx
    return np.moveaxis(top * (1 - fy) + bottom * fy, 1, -1)


def ours(program, movie, mode, work, codec="blosc", frames=0):
    """The example's JSON line with its peak memory, and its displacement at places."""
    import zarr

    out = os.path.join(work, "registered.zarr")
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(out + ".motion", ignore_errors=True)
    command = [program, movie, out, mode, codec, "0", str(frames)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        row = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    if status:
        sys.exit(f"{program} failed")
    row["peak_mb"] = usage.ru_maxrss / 1000
    motion = zarr.open(out + ".motion", mode="r")
    whole = np.stack([motion["dy"][:], motion["dx"][:]], -1)[:, None].astype(float)

    def at(ys, xs):
        if "field" not in motion:
            return np.repeat(whole, len(ys), 1)
        return whole + bilinear(motion["field"][:], motion["node_y"][:], motion["node_x"][:], ys, xs)

    return row, whole, at


def peer(python, name, movie, frames, mode, work):
    """Runs a peer in its own interpreter: its JSON line and its displacement at Suite2p's block centres."""
    out = os.path.join(work, "peer.npz")
    command = [python, os.path.abspath(__file__), "peer", name, movie, str(frames), mode, work, out]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    row = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    found = np.load(out)
    return row, found["whole"][:, None], found["parts"]


def kept(python, name, folder, mode, work):
    """As `peer` on all frames of a folder's movie; kept there, as a peer takes minutes and finds the same again."""
    path = os.path.join(folder, f"{name}-{mode}.npz")
    if not os.path.exists(path):
        row, whole, parts = peer(python, name, os.path.join(folder, "movie.tif"), 0, mode, work)
        np.savez(path, whole=whole, parts=parts, version=row["version"])
    found = np.load(path)
    return str(found["version"]), found["whole"], found["parts"]


def run_peer(name, movie, frames, mode, work, out):
    import tifffile

    with tifffile.TiffFile(movie) as file:
        frames = min(frames or len(file.pages), len(file.pages))
    pixels = tifffile.imread(movie, key=range(frames))
    height, width = pixels.shape[1:]
    ys, xs = block_centres(height, width)
    if name == "suite2p":
        import suite2p
        import torch
        from suite2p.io import BinaryFile
        from suite2p.registration import registration_wrapper

        settings = suite2p.default_settings()
        settings.update(torch_device="cpu")
        settings["registration"]["nonrigid"] = mode != "rigid"
        raw = BinaryFile(Ly=height, Lx=width, filename=os.path.join(work, "raw.bin"), n_frames=frames, write=True)
        raw[:] = pixels // 2
        registered = BinaryFile(Ly=height, Lx=width, filename=os.path.join(work, "reg.bin"), n_frames=frames, write=True)
        begun = time.perf_counter()
        found = registration_wrapper(registered, f_raw=raw, settings=settings["registration"],
                                     device=torch.device("cpu"))
        seconds = time.perf_counter() - begun
        whole = np.stack([found["yoff"], found["xoff"]], -1).astype(float)[:frames]
        parts = np.repeat(whole[:, None], len(ys), 1)
        if mode != "rigid":
            parts = whole[:, None] + np.stack([found["yoff1"], found["xoff1"]], -1)[:frames]
        version = suite2p.version
    else:
        from importlib.metadata import version as installed

        from jnormcorre.motion_correction import MotionCorrect

        os.chdir(work)  # where it leaves its movie
        begun = time.perf_counter()
        corrector = MotionCorrect(pixels, max_shifts=(20, 20), pw_rigid=mode != "rigid", frames_per_split=200)
        corrector.motion_correct(save_movie=True)
        seconds = time.perf_counter() - begun
        # Compared in speed alone: it keeps the displacements of a part of the frames only.
        whole = np.zeros((frames, 2))
        parts = np.zeros((frames, len(ys), 2))
        version = installed("jnormcorre")
    np.savez(out, whole=whole, parts=parts)
    print(json.dumps(dict(version=str(version), seconds=seconds, frames=frames, fps=frames / seconds)))


def speed(a):
    with tempfile.TemporaryDirectory() as work:
        for mode in ("rigid", "piecewise"):
            rows = [ours(a.program, a.movie, mode, work)[0] for _ in range(a.repeats)]
            rate = statistics.median(row["fps"] for row in rows)
            steady = statistics.median(row["fps_without_reference"] for row in rows)
            peak = max(row["peak_mb"] for row in rows)
            print(f"{mode:10} fluorspar {rate:.0f} frames/s, {steady:.0f} without the reference, {peak:.0f} MB",
                  flush=True)
            whole = int(rows[0]["frames"])
            for frames in (whole // 4, whole // 2, whole):
                rows = [ours(a.program, a.movie, mode, work, frames=frames)[0] for _ in range(a.repeats)]
                seconds = statistics.median(row["total_s"] - row["reference_s"] for row in rows)
                print(f"{mode:10} {frames} frames in {seconds:.2f} s beside the reference", flush=True)
            for name, python in (("suite2p", a.suite2p), ("jnormcorre", a.normcorre)):
                if python:
                    row, _, _ = peer(python, name, a.movie, a.frames, mode, work)
                    print(f"{mode:10} {name} {row['version']} {row['fps']:.1f} frames/s over {row['frames']}; "
                          f"fluorspar is {rate / row['fps']:.0f} times as fast", flush=True)


def accuracy(a):
    """A line per folder and mode, then the medians over the folders that differ in their seed only (`NAME_sSEED`)."""
    worst, versions, table = 0.0, set(), {}
    for folder in a.folders:
        truth = Truth(folder)
        ys, xs = block_centres(truth.height, truth.width)
        with tempfile.TemporaryDirectory() as work:
            for mode in ("rigid", "piecewise"):
                def judge(whole, parts):
                    if mode == "rigid":
                        return error(whole, truth.whole())
                    return error(parts, truth.at(ys, xs))

                pairs = []
                if a.program != "-":
                    _, whole, at = ours(a.program, os.path.join(folder, "movie.tif"), mode, work)
                    pairs.append(judge(whole, at(ys, xs)))
                if a.suite2p:
                    version, whole, parts = kept(a.suite2p, "suite2p", folder, mode, work)
                    versions.add(version)
                    pairs.append(judge(whole, parts))
                name = os.path.basename(folder.rstrip("/"))
                print(f"{name:24} {mode:10}", *("%.3f %.3f  " % pair for pair in pairs), flush=True)
                table.setdefault((name.rsplit("_s", 1)[0], mode), []).append(pairs)
                if len(pairs) == 2:
                    worst = max(worst, *(mine / other for mine, other in zip(*pairs)))
    print(f"medians over seeds: fluorspar, then Suite2p {' '.join(sorted(versions))}; median and 95th percentile, pixels")
    for (name, mode), rows in table.items():
        print(f"{name:24} {mode:10}", *("%.3f %.3f  " % tuple(pair) for pair in np.median(rows, 0)), f"{len(rows)} seeds")
    if worst > 1:
        sys.exit(f"a peer is more accurate somewhere, by {worst:.2f}")
    print(f"at most {worst:.2f} of Suite2p's error anywhere")


def main():
    if sys.argv[1:2] == ["peer"]:
        name, movie, frames, mode, work, out = sys.argv[2:]
        return run_peer(name, movie, int(frames), mode, work, out)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, work in (("speed", speed), ("accuracy", accuracy)):
        command = commands.add_parser(name)
        command.set_defaults(work=work)
        command.add_argument("program")
        command.add_argument("movie" if name == "speed" else "folders", **({} if name == "speed" else dict(nargs="+")))
        command.add_argument("--suite2p")
        if name == "speed":
            command.add_argument("--normcorre")
            command.add_argument("--frames", type=int, default=0)
            command.add_argument("--repeats", type=int, default=3)
    a = parser.parse_args()
    a.work(a)


if __name__ == "__main__":
    main()
