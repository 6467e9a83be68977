"""How the weights of fluorspar's probability of being a cell are found.

    evidence.py make FOLDER [--recordings 24] [--seed 100]
    evidence.py fit FOLDER --program FLUORSPAR

`make` draws recordings that differ in everything the weights should not depend on: cells from 6 to 20 pixels across,
filled or with a dark nucleus, edges from sharp to blurred over a seventh of the radius, up to 1.6 times as long as
wide, sparse and touching; light from out of focus as Gaussian blobs, from half to two and a half times as many as
cells (above and below the focus there is more room than in it), wider than the cells it comes from, 1.1 to 2 diameters
at half maximum, and fainter by as much as it is spread; neuropil; from 1 to 30 photons per pixel and frame; indicators from 0.3 to 2 s.
FOLDER/NN holds movie.tif, and truth.npz with the cells in focus: `indptr, indices` of their pixels, `diameter`, `rate`.

`fit` finds ROIs in all of them at 0.75, 1 and 1.33 times the true diameter, because users guess it, and fits a logistic
model (Newton's method, ridge penalty 1 on standardised features, each recording with the same weight) to whether a ROI
matches a cell in focus with an intersection over union of at least one half; ROIs between 0.3 and one half are left
out. It prints how well each recording is judged by weights fitted to the others, and the weights, in the order of
`Evidence::features`, the constant last.

Needs numpy, scipy, tifffile.
"""
import argparse
import csv
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SIDE, FRAMES = 192, 1200
FEATURES = ("ln area", "its square", "ln spread", "ln elongation", "focus", "stability", "ln SNR", "asymmetry", "skewness", "focus x ln SNR")


def draw(out, seed):
    import tifffile
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    diameter, rate = rng.uniform(6, 20), rng.choice([7.5, 15.0, 30.0])
    tau, photons = rng.uniform(0.3, 2.0), np.exp(rng.uniform(0, np.log(30)))
    spacing, edge, nucleus = rng.uniform(0.85, 2.5), rng.uniform(0.03, 0.15), rng.uniform(0, 0.7)
    y, x = np.mgrid[:SIDE, :SIDE]
    base = 0.8 + 0.25 * gaussian_filter(rng.standard_normal((SIDE, SIDE)), 14) * 14 * np.sqrt(4 * np.pi) / 2
    base = np.clip(base * (1 + 0.2 * gaussian_filter(rng.standard_normal((SIDE, SIDE)), 1.3) * 3), 0.2, None)
    centres, images = [], []
    for _ in range(4000):
        c = rng.uniform(0, SIDE, 2)
        if len(centres) >= 150 or (centres and np.hypot(*(np.array(centres) - c).T).min() < spacing * diameter):
            continue
        centres.append(c)
        radius, long, angle = diameter / 2 * rng.uniform(0.85, 1.15), np.sqrt(rng.uniform(1, 1.6)), rng.uniform(0, np.pi)
        u = ((y - c[0]) * np.cos(angle) + (x - c[1]) * np.sin(angle)) / (radius * long)
        v = (-(y - c[0]) * np.sin(angle) + (x - c[1]) * np.cos(angle)) * long / radius
        q = np.hypot(u, v)
        images.append(np.clip(1 / (1 + np.exp((q - 1) / edge)), 0.02, None) * (1 - nucleus * np.exp(-((q / 0.5) ** 2))) - 0.02)
    cells = len(images)
    for _ in range(int(rng.uniform(0.5, 2.5) * cells)):
        c, wider = rng.uniform(0, SIDE, 2), rng.uniform(1.1, 2.0)
        sigma = diameter * wider / 2.355
        images.append(rng.uniform(0.5, 1.2) / wider**2 * np.exp(-((y - c[0]) ** 2 + (x - c[1]) ** 2) / (2 * sigma**2)))
    images = np.array(images).reshape(len(images), -1)
    spikes = rng.poisson(rng.gamma(1.0, 0.4, len(images))[:, None] / rate + 0.03 / rate, (len(images), FRAMES)).astype(float)
    decay, calcium = np.exp(-1 / (tau * rate)), np.zeros((len(images), FRAMES))
    for t in range(FRAMES):
        calcium[:, t] = (calcium[:, t - 1] * decay if t else 0) + spikes[:, t]
    amplitude = rng.lognormal(np.log(0.35), 0.4, len(images)) * rng.uniform(0.5, 1.5, len(images))
    neuropil = gaussian_filter(rng.standard_normal((FRAMES, 6, 6)), (rate * 0.5, 0, 0))
    neuropil *= 0.1 / neuropil.std()
    wide = np.array([np.interp(np.linspace(0, 5, SIDE), range(6), row) for row in np.eye(6)])
    movie = np.empty((FRAMES, SIDE, SIDE), np.int16)
    rest = base.ravel() + images[:cells].T @ rng.uniform(0.3, 1.2, cells)
    for t in range(FRAMES):
        frame = rest + images.T @ (amplitude * calcium[:, t])
        frame = frame * (1 + (wide.T @ neuropil[t] @ wide).ravel())
        movie[t] = np.clip(rng.poisson(photons * np.clip(frame, 0, None)) * 40 + rng.normal(0, 15, SIDE * SIDE), -32768, 32767).reshape(SIDE, SIDE)
    out.mkdir(parents=True)
    tifffile.imwrite(out / "movie.tif", movie, photometric="minisblack")
    pixels = [np.flatnonzero(image > 0.3 * image.max()) for image in images[:cells]]
    np.savez(out / "truth.npz", indptr=np.cumsum([0] + [len(p) for p in pixels]), indices=np.concatenate(pixels),
             diameter=diameter, rate=rate)


def make(a):
    for k in range(a.recordings):
        out = Path(a.folder, f"{k:02}")
        if not out.exists():
            draw(out, a.seed + k)
        print(out, flush=True)


def features(row):
    log = lambda name, least, most=np.inf: np.log(min(max(float(row[name]), least), most))
    clip = lambda name, low, high: min(max(float(row[name]), low), high)
    area, focus, snr = min(max(log("relative_area", 1e-3), -2), 2), clip("focus", -0.5, 1.5), log("snr", 0.1, 10)
    return [area, area * area, min(log("spread", 1), 0.5), min(log("elongation", 1), 1.5), focus, clip("stability", -1, 1), snr, clip("asymmetry", -1, 2),
            clip("skewness", -1, 2), focus * snr]


def looked_at(folder, program):
    """Features of the ROIs of one recording, and whether each is a cell."""
    from segment import match

    import zarr

    truth = np.load(folder / "truth.npz")
    masks = np.split(truth["indices"].astype(np.int64), truth["indptr"][1:-1])
    lowrank = folder / "lowrank.zarr"
    if not lowrank.exists():
        subprocess.run([program, "denoise", folder / "movie.tif", lowrank, "-q", "--frame-rate", str(truth["rate"])],
                       check=True, stdout=subprocess.DEVNULL)
    rows, labels = [], []
    for factor in (0.75, 1.0, 1.33):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run([program, "segment", lowrank, work, "-q", "--frame-rate", str(truth["rate"]), "--diameter",
                            str(max(3.0, factor * float(truth["diameter"])))], check=True, stdout=subprocess.DEVNULL)
            group = zarr.open_group(os.path.join(work, "rois.zarr"), mode="r")
            rois = np.split(group["indices"][:].astype(np.int64), group["indptr"][1:-1].astype(int))
            with open(os.path.join(work, "rois.csv")) as file:
                found = [features(row) for row in csv.DictReader(file)]
        surely, perhaps = ({i for i, _ in match(rois, masks, least)} for least in (0.5, 0.3))
        for i, row in enumerate(found):
            if i in surely or i not in perhaps:
                rows.append(row), labels.append(i in surely)
    return np.array(rows).reshape(-1, len(FEATURES)), np.array(labels, float)


def logistic(x, y, weight, ridge=1.0):
    b, penalty = np.zeros(x.shape[1]), ridge * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ b))
        step = np.linalg.solve((x * (weight * p * (1 - p) + 1e-9)[:, None]).T @ x + penalty, x.T @ (weight * (y - p)) - penalty @ b)
        b += step
        if np.abs(step).max() < 1e-9:
            break
    return b


def fit(a):
    folders = sorted(p for p in Path(a.folder).iterdir() if (p / "truth.npz").exists())
    parts = [looked_at(folder, a.program) for folder in folders]
    x, y = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    of = np.concatenate([np.full(len(p[1]), k) for k, p in enumerate(parts)])
    weight = 1 / np.bincount(of)[of]
    weight *= len(y) / weight.sum()
    mean, spread = x.mean(0), x.std(0)
    z = np.c_[(x - mean) / spread, np.ones(len(y))]
    for k, folder in enumerate(folders):
        mine = of == k
        said = z[mine] @ logistic(z[~mine], y[~mine], weight[~mine]) >= 0
        right = (said == (y[mine] > 0)).mean()
        print(f"{folder.name}: {mine.sum()} ROIs, {right:.3f} judged right, precision "
              f"{y[mine][said].mean() if said.any() else float('nan'):.3f}, recall {said[y[mine] > 0].mean():.3f}")
    b = logistic(z, y, weight)
    weights = np.append(b[:-1] / spread, b[-1] - (b[:-1] * mean / spread).sum())
    for name, value in zip((*FEATURES, "constant"), weights):
        print(f"{name:16} {value:8.2f}")
    print(json.dumps([round(float(v), 2) for v in weights]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make")
    command.add_argument("folder")
    command.add_argument("--recordings", type=int, default=24)
    command.add_argument("--seed", type=int, default=100)
    command.set_defaults(work=make)
    command = commands.add_parser("fit")
    command.add_argument("folder")
    command.add_argument("--program", required=True)
    command.set_defaults(work=fit)
    a = parser.parse_args()
    a.work(a)


if __name__ == "__main__":
    main()
