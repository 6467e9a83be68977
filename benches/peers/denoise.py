"""fluorspar denoise beside localmd (penalized matrix decomposition) and the truncated SVD of blocks.

    denoise.py ours FOLDER... --program FLUORSPAR [--repeats 3] [--arguments '...']
    denoise.py peers FOLDER... [--localmd PYTHON] [--svd PYTHON] [--program FLUORSPAR] [--repeats 1]
    denoise.py score FOLDER... [--only METHOD...]
    denoise.py table FOLDER...
    denoise.py picture OUT.svg --pages LOWRANK.html... --captions TEXT...

A FOLDER holds movie.tif (frame, y, x) of a motionless simulated recording, and truth.npz with what it was made of:
`shape (3)`, `pad`, `base (y, x)`, footprints `A_data, A_indices, A_indptr, A_shape` (CSR, pixel x source; the first
`n_cells` are cells in focus), `act (source, frame)`, `neuropil (frame, n, n)`, `photons`, `gain`, and `rigid`, `warp`
of zeros. Base, footprints and neuropil reach `pad` pixels beyond the movie on all sides.

`ours` and `peers` denoise from the movie's file, each method in its own process and on --threads cores, and leave
lowrank.zarr, svd.npz, localmd.npz (blocks of 32), localmd20.npz (of 20) and localmd500.npz in the folder, times in
runs.jsonl. With --program `peers` runs fluorspar in turns with the peers, for ratios of times.
localmd's time is without imports and without compiling, as far as JAX says how long that took. Its defaults are kept
but for the block, the overlap by half and the frames it learns from, which have none, and --batch, the frames it loads
at a time: on a CPU its sparse product takes four bytes per entry of U and frame of a batch, or 45 GB by default. Its
SVD of a block projects on as many random directions as it may keep components, 50 and 10 more, and does not iterate,
which loses faint cells to noise; localmd500 lets it keep 500.
The SVD is scikit-learn's randomized_svd of tiles of 32 side by side, of the movie without its mean over its noise, with
as many components as fluorspar kept in the block there: it needs lowrank.zarr.
`score` compares what is there with the noise-free movie and leaves score.json; `table` prints all of it as Markdown;
`picture` puts the maps of what is left from pages that fluorspar wrote into one file.

PYTHON is an interpreter of a virtual environment: `pip install localmd 'jax<0.7' 'jaxlib<0.7' tifffile scipy`, or
`pip install scikit-learn tifffile scipy`. This script's own needs numpy, scipy, tifffile and, for ours, zarr.
"""
import argparse
import contextlib
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

LOCALMD = {"localmd": (32, 50), "localmd20": (20, 50), "localmd500": (32, 500)}  # side of blocks, most components
METHODS = ("fluorspar", *LOCALMD, "svd")
FILES = {"fluorspar": "lowrank.zarr", **{name: f"{name}.npz" for name in METHODS[1:]}}
SIDE = 32  # of the tiles of the SVD, pixels


def busy():
    """Seconds that all cores together have been busy."""
    spent = [int(value) for value in Path("/proc/stat").read_text().split()[1:9]]
    return (sum(spent) - spent[3] - spent[4]) / os.sysconf("SC_CLK_TCK")


def measured(command, env):
    """Standard output of a command, and its seconds, peak memory and the cores that others kept busy meanwhile."""
    before, begun = busy(), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    seconds = time.perf_counter() - begun
    others = (busy() - before - usage.ru_utime - usage.ru_stime) / seconds
    if status:
        sys.exit(f"{shlex.join(command)} failed ({status})")
    return printed, dict(seconds=seconds, peak_mb=usage.ru_maxrss / 1000, others=round(max(others, 0), 2))


def command_of(a, name, folder, work):
    """What leaves a method's factors in the folder."""
    movie, out = os.path.join(folder, "movie.tif"), os.path.join(folder, FILES[name])
    if name == "fluorspar":
        shutil.rmtree(out, ignore_errors=True)
        for beside in (".json", ".html"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.splitext(out)[0] + beside)
        return [a.program, "denoise", movie, out, *shlex.split(a.arguments)]
    ranks, here = os.path.join(work, "ranks.npy"), os.path.abspath(__file__)
    if name == "svd":  # In another process: what this one holds counts as its children's memory.
        store = os.path.join(folder, FILES["fluorspar"])
        subprocess.run([sys.executable, here, "child", "ranks", store, ranks, "{}"], check=True)
    side, components = LOCALMD.get(name, (SIDE, 0))
    settings = dict(side=side, components=components, fit_frames=a.fit_frames, batch=a.batch, ranks=ranks)
    return [a.svd if name == "svd" else a.localmd, here, "child", name, movie, out, json.dumps(settings)]


def run(a):
    """Methods in turns, --repeats times; a line each in the folder's runs.jsonl."""
    cores = sorted(os.sched_getaffinity(0))[: a.threads]
    os.sched_setaffinity(0, cores)  # which children inherit
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = dict(os.environ, JAX_PLATFORMS="cpu", **dict.fromkeys(variables, str(a.blas or len(cores))))
    programs = dict(fluorspar=a.program, svd=a.svd, **dict.fromkeys(LOCALMD, a.localmd))
    names = [name for name in a.only or METHODS if programs[name]]
    for folder in a.folders:
        batch = time.strftime("%Y-%m-%d %H:%M:%S")
        for repeat in range(a.repeats):
            for name in names:
                with tempfile.TemporaryDirectory() as work:
                    printed, row = measured(command_of(a, name, folder, work), env)
                if name == "fluorspar":
                    about = subprocess.run([a.program, "--version"], capture_output=True, text=True)
                    row["versions"] = about.stdout.strip()
                else:  # Says itself what it took, without its imports and what it saved.
                    row.update(json.loads([line for line in printed.splitlines() if line.startswith("{")][-1]))
                row.update(method=name, batch=batch, repeat=repeat, cores=len(cores), blas=a.blas, machine=machine())
                with open(os.path.join(folder, "runs.jsonl"), "a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{folder} {name}: {row['seconds']:.1f} s, {row['peak_mb']:.0f} MB, others kept "
                      f"{row['others']} cores busy; {row['versions']}", flush=True)


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [text.split(":")[1].strip() for text in lines if text.startswith("model name")]
    return f"{len(models)} x {models[0]}"


def versions(*names):
    return ", ".join(f"{name} {version(name)}" for name in names)


def save(out, u, v, mean, edges, **mix):
    """Factors: the movie is mean + u @ v, or u @ mix @ v, pixels in C order; `edges` are where blocks begin and end."""
    np.savez(out, u_data=u.data.astype(np.float32), u_indices=u.indices.astype(np.int32), u_indptr=u.indptr,
             v=v.astype(np.float32), mean=mean.astype(np.float32), rows=edges[0], columns=edges[1], **mix)


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def block_edges(length, side):
    """Where localmd's blocks, overlapping by half, begin and end inside the image."""
    starts = [*range(0, length - side + 1, side - side // 2), length - side]
    return np.array(sorted({edge for start in starts for edge in (start, start + side)} - {0, length}))


def run_localmd(movie, out, settings):
    import jax
    import scipy.sparse
    from localmd.dataset import MultipageTiffDataset
    from localmd.decomposition import localmd_decomposition

    compiling = []

    def listen(event, seconds, **_):
        if "/compile/" in event:
            compiling.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    np.random.seed(1)  # which all its random keys come from
    side = settings["side"]
    begun = time.perf_counter()
    u, mix, s, vt, noise, mean, (height, width, _), order = localmd_decomposition(
        MultipageTiffDataset(movie), [side] * 2, [side // 2] * 2, settings["fit_frames"],
        max_components=settings["components"], tiff_batch_size=settings["batch"])
    seconds = time.perf_counter() - begun
    row = dict(seconds=seconds - sum(compiling), compiled_s=sum(compiling), peak_mb=peak_mb(), settings=settings,
               versions=versions("localmd", "jax", "jaxlib", "numpy", "scipy", "torch", "tifffile"))
    pixels = np.arange(height * width).reshape(height, width, order=order).ravel()  # C order to its own
    u = (scipy.sparse.diags(noise.ravel()) @ u.tocsr()[pixels]).tocsr()
    save(out, u, vt, mean, [block_edges(n, side) for n in (height, width)], mix=(mix * s).astype(np.float32))
    print(json.dumps(row))


def run_svd(movie, out, settings):
    import scipy.sparse
    import tifffile
    from sklearn.utils.extmath import randomized_svd

    ranks = np.load(settings["ranks"])
    begun = time.perf_counter()
    pixels = tifffile.imread(movie)
    frames, height, width = pixels.shape
    mean = np.empty((height, width), np.float32)
    rows, columns, values, vs = [], [], [], []
    index = np.arange(height * width).reshape(height, width)
    for y, x in np.ndindex(ranks.shape):
        place = np.s_[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE]
        tile = pixels[(slice(None), *place)].astype(np.float32)
        mean[place] = tile.mean(0)
        tile = np.ascontiguousarray((tile - mean[place]).reshape(frames, -1).T)
        noise = np.diff(tile, axis=1).std(1, keepdims=True) / np.sqrt(2)
        noise[noise == 0] = 1
        rank, first, at = int(ranks[y, x]), sum(map(len, vs)), index[place].ravel()
        if rank:
            u, s, vt = randomized_svd(tile / noise, n_components=rank, random_state=1)
            rows.append(np.repeat(at, rank))
            columns.append(np.tile(np.arange(first, first + rank), len(at)))
            values.append((u * noise).ravel())
            vs.append(s[:, None] * vt)
    seconds = time.perf_counter() - begun
    row = dict(seconds=seconds, peak_mb=peak_mb(), versions=versions("scikit-learn", "numpy", "scipy", "tifffile"))
    v = np.concatenate(vs)
    u = scipy.sparse.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
                                shape=(height * width, len(v)))
    save(out, u, v, mean, [np.arange(SIDE, n, SIDE) for n in (height, width)])
    print(json.dumps(row))


def tile_edges(length, side):
    """Edges of fluorspar's tiles: a block is two of them in a row, the next begins one later."""
    tiles = 1 if length <= side else max(2, (2 * length + side // 2) // side)
    return np.arange(tiles + 1) * length // tiles


def ranks_of_tiles(store, out, _):
    """Saves how many components fluorspar kept in the block nearest to each tile of SIDE pixels side by side."""
    import zarr

    group = zarr.open(store, mode="r")
    height, width = group["mean"].shape[-2:]
    near, blocks = [], []
    for length in (height, width):
        edges = tile_edges(length, group.attrs["block_side"])
        centres = (edges[:-2] + edges[2:]) / 2 if len(edges) > 2 else edges[1:] / 2
        starts = np.arange(0, length, SIDE)
        middles = (starts + np.minimum(starts + SIDE, length)) / 2
        near.append(np.abs(middles[:, None] - centres).argmin(1))
        blocks.append(len(centres))
    kept = np.bincount(group["component_block"][:], minlength=blocks[0] * blocks[1]).reshape(blocks)
    np.save(out, kept[np.ix_(*near)])


def size_on_disk(path):
    return sum(part.stat().st_size for part in (Path(path), *Path(path).rglob("*")) if part.is_file())


class Factors:
    """A method's denoised movie."""

    def __init__(self, path):
        from scipy import sparse

        if path.endswith(".zarr"):
            import zarr

            z = zarr.open(path, mode="r")
            entries, indices, indptr = (z[name][:] for name in ("u_weights", "u_indices", "u_indptr"))
            self.edges = [tile_edges(n, z.attrs["block_side"])[1:-1] for n in z["mean"].shape[-2:]]
        else:
            z = np.load(path)
            entries, indices, indptr = z["u_data"], z["u_indices"], z["u_indptr"]
            self.edges = [z["rows"], z["columns"]]
        self.v, self.mean = z["v"][:], z["mean"][:].reshape(-1, 1)
        self.mix = z["mix"] if "mix" in z else None
        shape = len(self.mean), len(self.v if self.mix is None else self.mix)
        self.u = sparse.csr_matrix((entries, indices.astype(np.int32), indptr.astype(np.int64)), shape=shape)

    def frames(self, lo, hi):
        """(pixel, frame)"""
        v = self.v[:, lo:hi] if self.mix is None else self.mix @ self.v[:, lo:hi]
        return self.u @ v + self.mean


class Truth:
    def __init__(self, folder):
        from scipy import sparse

        from register import catmull_rom

        z = np.load(os.path.join(folder, "truth.npz"))
        if z["rigid"].any() or z["warp"].any():
            sys.exit(f"{folder}: the recording moves")
        self.length, self.height, self.width = (int(value) for value in z["shape"])
        pad, cells = int(z["pad"]), int(z["n_cells"])
        high, wide = z["base"].shape
        self.base = z["base"][pad:-pad, pad:-pad].reshape(-1, 1)
        inside = np.arange(high * wide).reshape(high, wide)[pad:-pad, pad:-pad].ravel()
        whole = sparse.csr_matrix((z["A_data"], z["A_indices"], z["A_indptr"]), shape=tuple(z["A_shape"]))
        self.footprints, self.act, self.neuropil = whole[inside], z["act"], z["neuropil"]
        grid = self.neuropil.shape[1]
        self.wy, self.wx = (catmull_rom(n, grid)[pad:-pad].astype(np.float32) for n in (high, wide))
        self.counts = np.float32(z["photons"]) * np.float32(z["gain"])
        # A cell's trace is its footprint's least-squares fit to the image.
        complete = np.flatnonzero(np.diff(self.footprints[:, :cells].tocsc().indptr) ==
                                  np.diff(whole[:, :cells].tocsc().indptr))
        cut = self.footprints[:, complete]
        power = np.asarray(cut.multiply(cut).sum(0)).ravel()
        self.trace = (cut @ sparse.diags(1 / power)).T.tocsr().astype(np.float32)

    def frames(self, lo, hi):
        """(pixel, frame) expected counts."""
        grid = self.neuropil[lo:hi]
        rows = np.einsum("yi,tij->ytj", self.wy, grid)
        light = np.einsum("ytj,xj->yxt", rows, self.wx, optimize=True).reshape(-1, hi - lo)
        light += 1
        light *= self.base
        light += self.footprints @ self.act[:, lo:hi]
        return np.maximum(light, 0, out=light) * self.counts


class Score:
    """Sums over frames of one method's errors."""

    def __init__(self, truth, edges):
        self.truth, self.edges, self.traces = truth, edges, []
        self.sampled = np.unique(np.linspace(0, truth.length - 1, 50).astype(int))
        self.squares, self.seam = 0.0, np.zeros((2, 2))  # of the error; of its steps (at an edge or not, sum and count)
        self.total, self.power, self.products = np.zeros((3, truth.height * truth.width))  # of raw - shown
        self.last = None

    def add(self, lo, shown, true, raw):
        error = shown - true
        self.squares += float(np.einsum("pt,pt->p", error, error).sum(dtype=np.float64))
        self.traces.append(self.truth.trace @ shown)
        for t in self.sampled[(self.sampled >= lo) & (self.sampled < lo + shown.shape[1])]:
            image = error[:, t - lo].reshape(self.truth.height, self.truth.width)
            for axis in (0, 1):
                steps = (np.diff(image, axis=axis).astype(np.float64) ** 2).mean(1 - axis)
                at_edge = np.isin(np.arange(1, len(steps) + 1), self.edges[axis])
                self.seam += [[steps[at_edge].sum(), at_edge.sum()], [steps[~at_edge].sum(), (~at_edge).sum()]]
        left = raw - shown
        self.total += left.sum(1)
        self.power += np.einsum("pt,pt->p", left, left)
        self.products += np.einsum("pt,pt->p", left[:, 1:], left[:, :-1])
        if self.last is not None:
            self.products += self.last * left[:, 0]
        self.last = left[:, -1].copy()

    def result(self, true):
        """`true`: noise-free traces without their mean, (cell, frame)."""
        frames = true.shape[1]
        shown = np.concatenate(self.traces, 1).astype(np.float64)
        shown -= shown.mean(1, keepdims=True)
        top = np.argsort(true, 1)[:, -max(1, frames // 100) :]
        at_top, true_top = (np.take_along_axis(traces, top, 1).sum(1) for traces in (shown, true))
        mean = self.total / frames
        with np.errstate(divide="ignore", invalid="ignore"):  # where there is no error, or nothing left
            white = (self.products / (frames - 1) - mean**2) / (self.power / frames - mean**2)
            snr = true.var(1) / ((shown - true) ** 2).mean(1)
            at_edge, elsewhere = self.seam[:, 0] / self.seam[:, 1]
            return dict(rmse=(self.squares / mean.size / frames) ** 0.5, snr=snr.tolist(),
                        bias=((shown * true).sum(1) / (true**2).sum(1) - 1).tolist(), peak=(at_top / true_top).tolist(),
                        seam=at_edge / elsewhere, white=float(white.mean()))


def score(a):
    import tifffile

    for folder in a.folders:
        path = os.path.join(folder, "score.json")
        known = json.loads(Path(path).read_text()) if os.path.exists(path) else {}
        names = [name for name in a.only or METHODS if os.path.exists(os.path.join(folder, FILES[name]))]
        truth = Truth(folder)
        factors = {name: Factors(os.path.join(folder, FILES[name])) for name in names}
        sums = {name: Score(truth, factor.edges) for name, factor in factors.items()}
        sums["raw"] = Score(truth, [tile_edges(n, SIDE)[1:-1] for n in (truth.height, truth.width)])
        true_traces, total, power = [], 0.0, 0.0
        with tifffile.TiffFile(os.path.join(folder, "movie.tif")) as file:
            for lo in range(0, truth.length, a.block):
                hi = min(lo + a.block, truth.length)
                raw = np.stack([page.asarray().ravel() for page in file.pages[lo:hi]], 1).astype(np.float32)
                true = truth.frames(lo, hi)
                true_traces.append(truth.trace @ true)
                total, power = total + true.sum(1, dtype=np.float64), power + np.square(true, dtype=np.float64).sum(1)
                for name, sum_of in sums.items():
                    shown = raw if name == "raw" else factors[name].frames(lo, hi)
                    sum_of.add(lo, shown, true, raw)
        true = np.concatenate(true_traces, 1).astype(np.float64)
        true -= true.mean(1, keepdims=True)
        for name, sum_of in sums.items():
            known[name] = sum_of.result(true)
            if name != "raw":
                size = size_on_disk(os.path.join(folder, FILES[name]))
                known[name].update(rank=len(factors[name].v), components=factors[name].u.shape[1],
                                   mb=size / 1e6, compression=2 * raw.shape[0] * truth.length / size)
        known["raw"]["still"] = float(np.mean(power / truth.length - (total / truth.length) ** 2) ** 0.5)
        Path(path).write_text(json.dumps(known))
        print(f"{folder}: {', '.join(sums)}; {len(true)} cells; {peak_mb():.0f} MB", flush=True)


def line(*cells):
    print(f"| {' | '.join(map(str, cells))} |")


def table(a):
    line("movie", "method", "RMSE, counts", "error down by", "SNR up by", "amplitude bias, median", "5th to 95th %",
         "cells beyond 3 %", "at peaks", "seams", "left over, lag 1", "components", "rank", "MB", "compression")
    line(*["---"] * 15)
    about = set()
    for folder in a.folders:
        known = json.loads(Path(folder, "score.json").read_text())
        raw, movie = known["raw"], os.path.basename(folder.rstrip("/"))
        about.add(f"{movie}: the mean of the noise-free movie alone has an RMSE of {raw['still']:.2f} and an SNR "
                  f"of 1; the raw movie's SNR is {np.median(raw['snr']):.2f}")
        for name in [name for name in ("raw", *METHODS) if name in known]:
            k = known[name]
            low, middle, high = np.percentile(100 * np.array(k["bias"]), [5, 50, 95])
            more = [""] * 5
            if name != "raw":
                more = f"{k['white']:+.4f} {k['components']} {k['rank']} {k['mb']:.0f} {k['compression']:.1f}".split()
            line(movie, name, f"{k['rmse']:.2f}", f"{raw['rmse'] / k['rmse']:.2f}",
                 f"{np.median(np.array(k['snr']) / np.array(raw['snr'])):.2f}", f"{middle:+.2f} %",
                 f"{low:+.2f} to {high:+.2f} %", f"{np.mean(np.abs(k['bias']) > 0.03):.1%}",
                 f"{np.median(k['peak']):.4f}", f"{k['seam']:.3f}", *more)
    print()
    line("movie", "method", "seconds", "range", "fluorspar is faster by", "peak MB", "others' cores", "runs")
    line(*["---"] * 8)
    for folder in a.folders:
        rows = [json.loads(text) for text in Path(folder, "runs.jsonl").read_text().splitlines()]
        for name in METHODS:
            of_it = [row for row in rows if row["method"] == name]
            if not of_it:
                continue
            last = [row for row in of_it if row["batch"] == of_it[-1]["batch"]]
            ours = [row for row in rows if (row["method"], row["batch"]) == ("fluorspar", last[0]["batch"])]
            seconds = [row["seconds"] for row in last]
            ratios = [theirs / mine["seconds"] for mine, theirs in zip(ours, seconds)]
            line(os.path.basename(folder.rstrip("/")), name, f"{np.median(seconds):.2f}",
                 f"{min(seconds):.2f} to {max(seconds):.2f}", f"{np.median(ratios):.2f}" if ratios else "",
                 f"{max(row['peak_mb'] for row in last):.0f}", f"{np.median([row['others'] for row in last]):.2f}",
                 len(last))
            blas = f"; {last[-1]['blas']} BLAS threads" if last[-1].get("blas") and name != "fluorspar" else ""
            about |= {f"{name}: {last[-1]['versions']}{blas}", f"{last[-1]['cores']} cores of {last[-1]['machine']}"}
    print("", *sorted(about), sep="\n")


def picture(a):
    """The first pictures of pages that fluorspar wrote, the map of what is left, side by side in one file."""
    width, height, gap = 360, 394, 24
    parts = []
    for k, (page, caption) in enumerate(zip(a.pages, a.captions)):
        svg = re.search(r"<svg.*?</svg>", Path(page).read_text(), re.S).group(0)
        x = k * (width + gap)
        parts.append(f'<text x="{x}" y="16" font-family="sans-serif" font-size="14">{caption}</text>')
        parts.append(svg.replace("<svg ", f'<svg x="{x}" y="24" ', 1))
    size = f'width="{len(parts) // 2 * (width + gap)}" height="{height + 24}"'
    Path(a.out).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>\n')


def main():
    if sys.argv[1:2] == ["child"]:
        name, movie, out, settings = sys.argv[2:]
        return {"ranks": ranks_of_tiles, "svd": run_svd}.get(name, run_localmd)(movie, out, json.loads(settings))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, work in (("ours", run), ("peers", run), ("score", score), ("table", table)):
        command = commands.add_parser(name)
        command.set_defaults(work=work, localmd=None, svd=None, only=None)
        command.add_argument("folders", nargs="+")
        if work is run:
            command.add_argument("--program", required=name == "ours")
            command.add_argument("--arguments", default="", help="more arguments of fluorspar denoise")
            command.add_argument("--repeats", type=int, default=3 if name == "ours" else 1)
            command.add_argument("--threads", type=int, default=2)
            command.add_argument("--blas", type=int, help="threads of the peers' linear algebra, if not as many")
            command.add_argument("--fit-frames", type=int, default=5000, help="that localmd learns from")
            command.add_argument("--batch", type=int, default=100, help="frames that localmd loads at a time")
        if name == "peers":
            command.add_argument("--localmd"), command.add_argument("--svd")
        if name in ("peers", "score"):
            command.add_argument("--only", nargs="+", choices=METHODS)
        if name == "score":
            command.add_argument("--block", type=int, default=40, help="frames at a time")
    command = commands.add_parser("picture")
    command.set_defaults(work=picture)
    command.add_argument("out")
    command.add_argument("--pages", nargs="+", required=True)
    command.add_argument("--captions", nargs="+", required=True)
    a = parser.parse_args()
    a.work(a)


if __name__ == "__main__":
    main()
