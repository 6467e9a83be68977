"""fluorspar segment beside Suite2p: the cells of simulated recordings, their traces and their events.

    segment.py ours FOLDER... --program FLUORSPAR [--repeats 1] [--arguments '...'] [--name fluorspar]
    segment.py suite2p FOLDER... --python PYTHON [--repeats 1]
    segment.py score FOLDER... [--only METHOD...]
    segment.py table FOLDER...
    segment.py picture OUT.svg --page ROIS.html --columns N --titles TITLE...

A FOLDER holds movie.tif (frame, y, x) of a motionless simulated recording, and truth.npz with what it was made of:
`shape (3)`, `pad`, `fs`, footprints `A_data, A_indices, A_indptr, A_shape` (CSR, pixel x source, reaching `pad` pixels
beyond the movie on all sides; the first `n_cells` are cells in focus, the others light from out of focus), and of the
cells in focus `dff (cell, frame)` and `spikes (cell, frame)`.

`ours` denoises the movie once if lowrank.zarr is not there (its time is kept apart), then finds and measures the cells;
`suite2p` runs Suite2p 1.1 with its defaults but for the frame rate, tau = 1 s and no registration, on the CPU. Both
leave what they found in the folder, METHOD.npz, and times in segment.jsonl: of Suite2p the stages `detection` and
`extraction` that it times itself, of fluorspar everything from the denoised movie to footprints, F, Fneu, demixed traces
and dF/F.

`score` compares with the truth. A true cell is the set of its pixels above a fifth of its largest weight; it is visible
if 30 of them are in the picture, and active if it fires three times and its dF/F exceeds 0.5. ROIs and visible cells are
matched one to one, best first, from an intersection over union of 0.5. Of Suite2p both all ROIs and those its
classifier keeps are scored, and the better F1 counts. Traces: median over matched cells (from 0.3, to have more of
them) of the correlation with the true dF/F; of Suite2p F - 0.7 Fneu, of fluorspar dF/F. Spikes: the same for events and
true spikes, both smoothed by a Gaussian of 2 frames. `common` is the same for the cells that all methods found: a
method that finds faint cells must not look worse for it.
`table` prints all of it as Markdown; `picture` puts the figures of those titles of a page that fluorspar wrote into one
file.

PYTHON is an interpreter of a virtual environment with `pip install suite2p`. This script's own needs numpy, scipy and
zarr.
"""
import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

SUITE2P = """
import json, os, sys, time
import numpy as np, suite2p
folder, work, out, rate = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
settings = suite2p.default_settings()
settings.update(torch_device="cpu", fs=rate, tau=1.0)
settings["run"]["do_registration"] = 0
settings["run"]["do_regmetrics"] = False
db = suite2p.default_db()
db.update(data_path=[os.path.abspath(folder)], file_list=["movie.tif"], save_path0=work)
begun = time.perf_counter()
suite2p.run_s2p(settings=settings, db=db)
whole = time.perf_counter() - begun
plane = os.path.join(work, "suite2p", "plane0")
load = lambda name: np.load(os.path.join(plane, name), allow_pickle=True)
stat, ops = load("stat.npy"), load("ops.npy").item()
width = int(ops["Lx"])
pixels = [np.asarray(s["ypix"]).astype(np.int64) * width + np.asarray(s["xpix"]) for s in stat]
np.savez(out, indptr=np.cumsum([0] + [len(p) for p in pixels]), indices=np.concatenate(pixels),
         traces=load("F.npy") - 0.7 * load("Fneu.npy"), events=load("spks.npy"), is_cell=load("iscell.npy")[:, 0] > 0.5)
print(json.dumps(dict(seconds=float(ops["plane_times"]["detection"] + ops["plane_times"]["extraction"]), whole=whole,
                      version=str(suite2p.version))))
"""


def note(folder, **what):
    with open(os.path.join(folder, "segment.jsonl"), "a") as file:
        file.write(json.dumps(what) + "\n")


def ours(a):
    import zarr

    for folder in a.folders:
        movie, lowrank = os.path.join(folder, "movie.tif"), os.path.join(folder, "lowrank.zarr")
        if not os.path.exists(lowrank):
            begun = time.perf_counter()
            subprocess.run([a.program, "denoise", movie, lowrank, "--quiet"], check=True, stdout=subprocess.DEVNULL)
            note(folder, method="denoise", seconds=time.perf_counter() - begun)
        rate = float(np.load(os.path.join(folder, "truth.npz"))["fs"])
        for _ in range(a.repeats):
            out = os.path.join(folder, a.name)
            shutil.rmtree(out, ignore_errors=True)
            command = [a.program, "segment", movie, out, "--lowrank", lowrank, "--frame-rate", str(rate), "--json", "--quiet"]
            done = subprocess.run(command + shlex.split(a.arguments), check=True, stdout=subprocess.PIPE, text=True)
            printed = json.loads(done.stdout)
            note(folder, method=a.name, seconds=printed["detection_seconds"] + printed["traces_seconds"],
                 detection=printed["detection_seconds"], whole=printed["seconds"])
        group = zarr.open_group(os.path.join(out, "rois.zarr"), mode="r")
        read = {name: group[name][:] for name in ("indptr", "indices", "dff", "events", "is_cell")}
        np.savez(os.path.join(folder, f"{a.name}.npz"), indptr=read["indptr"], indices=read["indices"],
                 traces=read["dff"], events=read["events"], is_cell=read["is_cell"] > 0)
        shutil.rmtree(out)
        print(folder, round(printed["detection_seconds"] + printed["traces_seconds"], 2), "s,", printed["cells"], "cells")


def suite2p(a):
    for folder in a.folders:
        rate = float(np.load(os.path.join(folder, "truth.npz"))["fs"])
        for _ in range(a.repeats):
            with tempfile.TemporaryDirectory() as work:
                out = os.path.join(folder, "suite2p.npz")
                done = subprocess.run([a.python, "-c", SUITE2P, folder, work, out, str(rate)], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(f"{folder}: Suite2p failed\n{done.stderr[-2000:]}")
            printed = json.loads(done.stdout.splitlines()[-1])
            note(folder, method="suite2p", **printed)
        print(folder, round(printed["seconds"], 2), "s")


def true_masks(z):
    """Pixels of every cell in focus, flat in the movie's frame; none of those that are hardly in it."""
    pad, (_, height, width) = int(z["pad"]), z["shape"]
    from scipy.sparse import csr_matrix

    a = csr_matrix((z["A_data"], z["A_indices"], z["A_indptr"]), shape=tuple(z["A_shape"])).tocsc()
    wide, out = width + 2 * pad, []
    for j in range(int(z["n_cells"])):
        pixels, weights = a.indices[a.indptr[j]:a.indptr[j + 1]], a.data[a.indptr[j]:a.indptr[j + 1]]
        pixels = pixels[weights > 0.2 * weights.max()]
        y, x = pixels // wide - pad, pixels % wide - pad
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        pixels = np.unique(y[inside] * width + x[inside])
        out.append(pixels if len(pixels) >= 30 else pixels[:0])
    return out


def match(rois, masks, least):
    """Pairs (ROI, mask), one to one, best intersection over union first."""
    owners = defaultdict(list)
    for j, mask in enumerate(masks):
        for pixel in mask.tolist():
            owners[pixel].append(j)
    pairs = []
    for i, roi in enumerate(rois):
        shared = defaultdict(int)
        for pixel in roi.tolist():
            for j in owners.get(pixel, ()):
                shared[j] += 1
        pairs += [(n / (len(roi) + len(masks[j]) - n), i, j) for j, n in shared.items()]
    left, right, out = set(), set(), []
    for value, i, j in sorted(pairs, reverse=True):
        if value >= least and i not in left and j not in right:
            left.add(i), right.add(j), out.append((i, j))
    return out


def correlations(a, b):
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1) + 1e-20)


def score(a):
    from scipy.ndimage import gaussian_filter1d

    for folder in a.folders:
        with np.load(os.path.join(folder, "truth.npz")) as z:
            truth = {key: z[key] for key in z.files}
        masks = true_masks(truth)
        visible = np.array([len(mask) > 0 for mask in masks])
        active = visible & (truth["spikes"].sum(1) >= 3) & (truth["dff"].max(1) > 0.5)
        result, per_cell = dict(visible=int(visible.sum()), active=int(active.sum())), {}
        for path in sorted(Path(folder).glob("*.npz")):
            name = path.stem
            if name == "truth" or (a.only and name not in a.only) or "is_cell" not in np.load(path).files:
                continue
            found = np.load(path)
            rois = [np.unique(part) for part in np.split(found["indices"].astype(np.int64), found["indptr"][1:-1].astype(int))]
            best = None
            for kept in ([found["is_cell"]] if name != "suite2p" else [found["is_cell"], np.ones(len(rois), bool)]):
                index = np.flatnonzero(kept)
                chosen = [rois[i] for i in index]
                pairs = match(chosen, masks, 0.5)
                hit = np.array([j for _, j in pairs], int)
                precision, recall = len(pairs) / max(1, len(chosen)), len(pairs) / visible.sum()
                f1 = 2 * precision * recall / max(1e-9, precision + recall)
                if best is None or f1 > best["f1"]:
                    best = dict(rois=len(chosen), precision=precision, recall=recall, f1=f1,
                                recall_active=active[hit].sum() / max(1, active.sum()))
                    loose = match(chosen, masks, 0.3)
                    i, j = index[[i for i, _ in loose]].astype(int), np.array([j for _, j in loose], int)
            traces, events = np.nan_to_num(found["traces"][i].astype(float)), np.nan_to_num(found["events"][i].astype(float))
            r = correlations(traces, truth["dff"][j].astype(float))
            s = correlations(gaussian_filter1d(events, 2.0, axis=1), gaussian_filter1d(truth["spikes"][j].astype(float), 2.0, axis=1))
            best.update(trace_r=np.median(r), spike_r=np.median(s))
            per_cell[name] = {int(cell): (x, y) for cell, x, y in zip(j, r, s)}
            result[name] = best
        common = set.intersection(*(set(cells) for cells in per_cell.values())) if per_cell else set()
        for name, cells in per_cell.items():
            if common:
                result[name].update(common=len(common), common_trace_r=np.median([cells[c][0] for c in common]),
                                    common_spike_r=np.median([cells[c][1] for c in common]))
        Path(folder, "segment.json").write_text(json.dumps(result, indent=1, default=float) + "\n")
        print(folder, {name: round(float(result[name]["f1"]), 3) for name in per_cell})


def table(a):
    print("| recording | method | ROIs | precision | recall | of active | F1 | traces | spikes | common: cells, traces, spikes | seconds |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for folder in a.folders:
        known = json.loads(Path(folder, "segment.json").read_text())
        times = defaultdict(list)
        if os.path.exists(os.path.join(folder, "segment.jsonl")):
            for line in Path(folder, "segment.jsonl").read_text().splitlines():
                entry = json.loads(line)
                times[entry["method"]].append(entry["seconds"])
        for name, r in known.items():
            if not isinstance(r, dict):
                continue
            seconds = f"{np.median(times[name]):.2f}" if times[name] else ""
            shared = f"{r['common']}, {r['common_trace_r']:.3f}, {r['common_spike_r']:.3f}" if "common" in r else ""
            print(f"| {Path(folder).name} | {name} | {r['rois']} | {r['precision']:.3f} | {r['recall']:.3f} | "
                  f"{r['recall_active']:.3f} | {r['f1']:.3f} | {r['trace_r']:.3f} | {r['spike_r']:.3f} | {shared} | {seconds} |")


def picture(a):
    figures = re.findall(r"<figure.*?</figure>", Path(a.page).read_text(), re.S)
    parts, x, y, wide, high = [], 0, 0, 0, 0
    for k, title in enumerate(a.titles):
        figure = next(f for f in figures if re.search(rf">{re.escape(title)}<", f))
        svg = re.search(r"<svg.*?</svg>", figure, re.S).group(0)
        width, height = (float(re.search(rf'\b{side}="([0-9.]+)"', svg).group(1)) for side in ("width", "height"))
        if k and k % a.columns == 0:
            x, y, high = 0, y + high + 34, 0
        parts.append(f'<text x="{x}" y="{y + 16}" font-family="sans-serif" font-size="14">{title}</text>')
        parts.append(svg.replace("<svg ", f'<svg x="{x}" y="{y + 24}" ', 1))
        x, high = x + width + 20, max(high, height)
        wide = max(wide, x - 20)
    Path(a.out).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{y + high + 24}">{"".join(parts)}</svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, work in (("ours", ours), ("suite2p", suite2p), ("score", score), ("table", table)):
        command = commands.add_parser(name)
        command.set_defaults(work=work)
        command.add_argument("folders", nargs="+")
        if name in ("ours", "suite2p"):
            command.add_argument("--repeats", type=int, default=1)
        if name == "ours":
            command.add_argument("--program", required=True)
            command.add_argument("--arguments", default="")
            command.add_argument("--name", default="fluorspar")
        if name == "suite2p":
            command.add_argument("--python", default=sys.executable)
        if name == "score":
            command.add_argument("--only", nargs="*")
    command = commands.add_parser("picture")
    command.set_defaults(work=picture)
    command.add_argument("out")
    command.add_argument("--page", required=True)
    command.add_argument("--columns", type=int, default=3)
    command.add_argument("--titles", nargs="+", required=True)
    a = parser.parse_args()
    a.work(a)


if __name__ == "__main__":
    main()
