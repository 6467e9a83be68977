"""fluorspar track beside its peers: the same cells across sessions, on data with known identities.

    track.py accuracy    --write-fields PROGRAM [--program FLUORSPAR] [--peers-results FILE] [--seeds 3] [--full]
    track.py calibration --write-fields PROGRAM [--program FLUORSPAR] [--peers-results FILE] [--seeds 3] [--full] [--figure SVG]
    track.py speed       --write-fields PROGRAM [--program FLUORSPAR] [--peers-results FILE] [--limit 600]
    track.py real FOLDER [--program FLUORSPAR] [--um-per-pixel 2.35] [--max-distance-um 14]

All take `--trackers NAME...`, of fluorspar, cellreg, roicat, track2p, hungarian, and `--arguments '...'` for fluorspar.
FOLDER holds one .npz per session, in the order of their names: footprints `indptr (roi + 1)`, `indices` (flat,
y * width + x), `weights` (peak 1), `shape` (height, width), and if known `plane`, `mean_image (plane, y, x)` and `cell`,
the identity of each ROI, -1 for a ROI that is no cell. PROGRAM (fluorspar's example write_fields) makes such folders.

Trackers:
  fluorspar  `fluorspar track SESSION... OUT` in a process of its own; its time includes starting and reading files.
  cellreg    CellReg's method (our NumPy transcription): CellReg itself is MATLAB. Sheintuch et al. 2017, Cell Reports 21:
             rotation and translation found on projections of the centroids, models of centroid distance and of footprint
             correlation among neighbours, the one kept whose misfit and share of uncertain pairs (0.05 < p_same < 0.95)
             together are smaller, as its program chooses; a greedy first registration at p_same = 0.5, then
             iterated clustering. Neighbours are closer than 12 micrometres (its default for two-photon data). Where this
             departs: centroids are centres of mass, not of fitted Gaussians; one cell displaces another of its session
             from a cluster if its largest p_same is larger; non-rigid alignment (an option of CellReg) is not there.
  roicat     ROICaT with its defaults, but for what needs downloads: alignment by ROICaT's own ECC (with its defaults) in
             place of the learned matcher RoMa, then DeepFlow as by default; similarity by spatial footprints and scattering
             wavelets, without the network ROInet. Probabilities are its naive Bayes.
  track2p    Track2p's own functions without its window: elastix (affine) on mean images of neighbouring days, Hungarian
             assignment on intersection over union, Otsu's threshold, chains that start on the first day. Masks are
             stored so that one ROI is contiguous, which makes Track2p several times faster and changes nothing else.
  hungarian  what many labs use (CaImAn's register_multisession with plain shifts): mean images aligned by phase
             correlation, Hungarian assignment on intersection over union (> 0.3, centroids within 10 pixels) of each
             session with the union of those before.
The last two take the pixels above a fifth of the ROI's peak; where there is no mean image, trackers that need one get the
sum of all footprints. Times of peers exclude starting Python, importing and reading files, but not what ROICaT compiles
when first called. Peers run in processes of their own, stopped at `--limit` seconds or `--memory-gb`; a run that breaks
down counts as one that joined nothing, and is not kept. `speed` gives no larger field to a tracker that took
a quarter of the limit.

Scores: a pair is two ROIs of different sessions put in one cell. Right pairs have the same identity; a pair with a ROI
that is no cell is wrong. Recall is over all pairs of ROIs with one identity. `accuracy` changes one property at a time
from the middle setting (`--full`: all combinations). `calibration` sorts all pairs to which a tracker gave a probability
into tenths. Results of peers are kept in the file of `--peers-results`, so that they need not run again.

Needs numpy and scipy; `pip install roicat[core]` for roicat; for track2p, beside it, `pip install --no-deps
track2p itk-elastix itk-registration` and `pip install itk-core itk-filtering scikit-image matplotlib` (its own pins want
older versions and a window toolkit).
"""
import argparse
import contextlib
import csv
import importlib.metadata
import itertools
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array, vstack

from cellreg import cellreg
from footprints import Result, centres, load, masks, moved, overlap

# What write_fields is told, and what fluorspar writes: all that this script knows of either.
DENSITY = {"sparse": (120, 1.6), "touching": (300, 1.05), "overlapping": (450, 0.8)}  # cells, diameters between centres
MOTION = {"rigid": (0, 0, 0), "rotation 5": (5, 0, 0), "warp": (2, 0.01, 3)}  # degrees, relative growth, pixels (rms)
CHOICES = dict(turnover=(5, 20, 40), density=tuple(DENSITY), motion=tuple(MOTION), jitter=(0.5, 1.0, 1.5))  # %, , , pixels
MIDDLE = dict(turnover=20, density="touching", motion="rigid", jitter=1.0, seed=1)
SESSIONS, SIDE = 5, 256
FIRST_SESSION = 0  # number of the first session in fluorspar's tables
TRACK_COLUMNS = ("cell", "session", "roi")
PAIR_COLUMNS = ("session_a", "roi_a", "session_b", "roi_b", "p_same")


# -- fluorspar ---------------------------------------------------------------------------------------------------------


def fluorspar(sessions, a):
    with tempfile.TemporaryDirectory() as out:
        command = [a.program, "track", *(s.path for s in sessions), out, *shlex.split(a.arguments)]
        begun = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - begun
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
        labels = [np.full(len(s), -1) for s in sessions]
        with open(os.path.join(out, "tracks.csv")) as file:
            for row in csv.DictReader(file):
                cell, session, roi = (int(row[c]) if row[c].strip() else -1 for c in TRACK_COLUMNS)
                if roi >= 0:
                    labels[session - FIRST_SESSION][roi] = cell
        with open(os.path.join(out, "pairs.csv")) as file:
            pairs = np.array([[float(row[c]) for c in PAIR_COLUMNS] for row in csv.DictReader(file)]).reshape(-1, 5)
        pairs[:, [0, 2]] -= FIRST_SESSION
    return Result(labels, pairs, dict(seconds=seconds))


# -- ROICaT ------------------------------------------------------------------------------------------------------------


def roicat(sessions, a):
    import roicat as peer
    import torch

    begun = time.perf_counter()
    height, width = sessions[0].shape
    defaults, tracking = peer.util.get_default_parameters(pipeline="tracking"), peer.tracking
    align, graph, cluster = (defaults[key] for key in ("alignment", "similarity_graph", "clustering"))
    quiet, on = dict(verbose=False), dict(device="cpu")
    data = peer.data_importing.Data_roicat(**quiet)
    data.set_spatialFootprints([csr_array(s.footprints.astype(np.float32)) for s in sessions], um_per_pixel=a.um_per_pixel)
    data.set_FOV_images([s.image.astype(np.float32) for s in sessions])
    data.transform_spatialFootprints_to_ROIImages(tuple(defaults["data_loading"]["common"]["out_height_width"]))

    aligner = tracking.alignment.Aligner(um_per_pixel=a.um_per_pixel, **quiet, **on, **align["initialization"])
    images = aligner.augment_FOV_images(FOV_images=data.FOV_images, spatialFootprints=data.spatialFootprints, **align["augment"])
    aligner.fit_geometric(ims_moving=images, **quiet, **{**align["fit_geometric"], "method": "ECC_cv2"})
    aligner.transform_images_geometric(images)
    aligner.fit_nonrigid(ims_moving=aligner.ims_registered_geo, remappingIdx_init=aligner.remappingIdx_geo, **align["fit_nonrigid"])
    aligner.transform_images_nonrigid(images)
    aligner.transform_ROIs(ROIs=data.spatialFootprints, remappingIdx=aligner.remappingIdx_nonrigid, **align["transform_ROIs"])

    blurrer = tracking.blurring.ROI_Blurrer(frame_shape=(height, width), plot_kernel=False, **quiet, **defaults["blurring"])
    blurrer.blur_ROIs(spatialFootprints=aligner.ROIs_aligned[:])
    resized = peer.ROInet.Preprocessor_ROI_images(**quiet).scale_normalize_images(data.ROI_images, um_per_pixel=data.um_per_pixel)
    wavelets = tracking.scatteringWaveletTransformer.SWT(
        image_shape=data.ROI_images[0].shape[1:3], kwargs_Scattering2D=defaults["SWT"]["kwargs_Scattering2D"], **quiet, **on)
    with torch.no_grad():  # with gradients, which parts of ROICaT switch on, the next steps take tens of GB
        features = {"swt": wavelets.transform(ROI_images=resized, batch_size=defaults["SWT"]["batch_size"]).detach()}

    metrics, near = [m for m in tracking.similarity_graph.DEFAULT_METRICS if m.name != "nn"], graph["normalization"]
    similar = tracking.similarity_graph.ROI_graph(
        frame_height=height, frame_width=width, metric_configs=metrics, **quiet, **graph["sparsification"])
    similar.compute_similarity_blockwise(spatialFootprints=blurrer.ROIs_blurred, ROI_session_bool=data.session_bool,
                                         features=features, **graph["compute_similarity"])
    similar.make_normalized_similarities(
        centers_of_mass=data.centroids, features=features, algo_NN=near["algo_NN"], k_max=data.n_sessions * near["k_max"],
        k_min=data.n_sessions * near["k_min"], **on)

    clusterer = tracking.clustering.Clusterer(similarities=similar.similarities_final, metric_configs=metrics,
                                              s_sesh=similar.s_sesh, session_bool=data.session_bool, **quiet)
    automatic = dict(cluster["parameters_automatic_mixing"])
    automatic["bounds_findParameters"] = {k: v for k, v in automatic["bounds_findParameters"].items() if "nn" not in k}
    mixing = clusterer.find_optimal_parameters_for_pruning(seed=0, **automatic)
    clusterer.make_pruned_similarity_graphs(mixing_params=mixing, **cluster["pruning"])
    method = peer.pipelines.choose_clustering_method(n_sessions=data.n_sessions, **cluster["cluster_method"]).lower()
    fits = dict(hdbscan=clusterer.fit, single_linkage=clusterer.fit_singleLinkage, sequential_hungarian=clusterer.fit_sequentialHungarian)
    labels = np.asarray(fits[method](d_conj=clusterer.dConj_pruned, session_bool=data.session_bool, **cluster[method]))
    seconds = time.perf_counter() - begun

    probability = clusterer.make_naive_bayes_distance_matrix()[1].tocoo()
    ends = np.cumsum([0] + [len(s) for s in sessions])
    row, column = np.minimum(probability.row, probability.col), np.maximum(probability.row, probability.col)
    _, once = np.unique(row.astype(np.int64) * ends[-1] + column, return_index=True)
    s, t = (np.searchsorted(ends, side, side="right") - 1 for side in (row, column))
    once = once[s[once] != t[once]]
    pairs = np.stack([s, row - ends[s], t, column - ends[t], probability.data], 1)[once]
    return Result(np.split(labels, ends[1:-1]), pairs, dict(seconds=seconds, clustering=method))


# -- Track2p -----------------------------------------------------------------------------------------------------------


def track2p(sessions, a):
    from track2p.match.loop import get_all_ds_assign, get_all_pl_match_mat
    from track2p.ops.default import DefaultTrackOps
    from track2p.register.elastix import itk_reg_all_roi, reg_img_elastix

    begun = time.perf_counter()
    ops = DefaultTrackOps()
    ops.all_ds_path, ops.nplanes = [s.path for s in sessions], 1
    dense = [np.moveaxis(masks(s.footprints).toarray().astype(bool).reshape(len(s), *s.shape), 0, 2) for s in sessions]
    references, registered = [], []
    for day in range(len(sessions) - 1):
        fixed, moving = (s.image.astype(np.float32) for s in sessions[day:day + 2])
        _, transform = reg_img_elastix(fixed, moving, ops)
        references.append([dense[day]]), registered.append([itk_reg_all_roi(dense[day + 1], transform)])
    _, kept, _, thresholds = get_all_ds_assign(ops, references, registered)
    table = get_all_pl_match_mat(references, kept, ops)[0]
    labels = [np.full(len(s), -1) for s in sessions]
    for cell, row in enumerate(table):
        for session, roi in enumerate(row):
            if roi is not None:
                labels[session][int(roi)] = cell
    return Result(labels, None, dict(seconds=time.perf_counter() - begun, thresholds=[round(float(t[0]), 2) for t in thresholds]))


# -- Hungarian on intersection over union ------------------------------------------------------------------------------

LEAST_OVERLAP = 0.3
FURTHEST_CENTRES = 10.0  # pixels


def phase_shift(fixed, moving):
    """Shift (y, x), to a fraction of a pixel, of `moving` against `fixed`."""
    window = np.outer(*(np.hanning(side) for side in fixed.shape))
    spectrum = np.fft.fft2((moving - moving.mean()) * window) * np.conj(np.fft.fft2((fixed - fixed.mean()) * window))
    surface = np.fft.ifft2(spectrum / np.maximum(abs(spectrum), 1e-12)).real
    at = np.array(np.unravel_index(surface.argmax(), surface.shape))
    out = []
    for axis, side in enumerate(surface.shape):
        before, peak, after = (surface[tuple(np.where(np.arange(2) == axis, at + d, at) % surface.shape)] for d in (-1, 0, 1))
        bend = before - 2 * peak + after
        out.append((at[axis] + side // 2) % side - side // 2 + (0.5 * (before - after) / bend if bend < 0 else 0.0))
    return np.array(out)


def hungarian(sessions, a):
    shape = sessions[0].shape
    union, labels = sessions[0].footprints, [np.arange(len(sessions[0]))]
    for previous, session in zip(sessions, sessions[1:]):
        union = moved(union, shape, 0.0, -phase_shift(previous.image, session.image))
        cost = 1 - overlap(masks(union), masks(session.footprints))
        apart = np.linalg.norm(centres(union, shape[1])[:, None] - centres(session.footprints, shape[1]), axis=2)
        i, j = linear_sum_assignment(np.where(apart < FURTHEST_CENTRES, cost, 1e3))
        good = (cost[i, j] < 1 - LEAST_OVERLAP) & (apart[i, j] < FURTHEST_CENTRES)
        label = np.full(len(session), -1)
        label[j[good]] = i[good]
        new = np.flatnonzero(label < 0)
        label[new] = union.shape[0] + np.arange(len(new))
        labels.append(label)
        source = np.arange(union.shape[0] + len(new))
        source[label] = union.shape[0] + np.arange(len(session))
        union = vstack([union, session.footprints]).tocsr()[source]
    return Result(labels)


# -- scores and tables -------------------------------------------------------------------------------------------------

TRACKERS = dict(fluorspar=fluorspar, cellreg=cellreg, roicat=roicat, track2p=track2p, hungarian=hungarian)
PACKAGES = dict(roicat="roicat", track2p="track2p")
MISSING = 3  # exit code


def version(name):
    return importlib.metadata.version(PACKAGES[name]) if name in PACKAGES else ""


def run(name, sessions, a):
    """A tracker's result and its time; None if it cannot be had. A peer that breaks down has joined nothing."""
    if name != "fluorspar" and max(s.planes for s in sessions) > 1:
        print(f"{name}: left out, it knows single planes only", file=sys.stderr)
        return None
    result = fluorspar(sessions, a) if name == "fluorspar" else apart(name, sessions, a)
    if result is None:
        print(f"{name}: left out, not installed (see the head of this script)", file=sys.stderr)
    return result and (result, result.notes["seconds"])


def apart(name, sessions, a):
    """Runs a peer in a process group of its own, which ends with it: some hang, some take all memory."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, __file__, "one", str(Path(sessions[0].path).parent), out, "--trackers", name]
        for option in ("um_per_pixel", "max_distance_um", "memory_gb"):
            command += ["--" + option.replace("_", "-"), str(getattr(a, option))]
        with open(os.path.join(out, "log"), "w+") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                code = process.wait(a.limit)
            except subprocess.TimeoutExpired:
                code = f"stopped after {a.limit:g} s"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if code == MISSING:
                return None
            if code != 0:
                log.seek(0)
                print(f"{name}: broke down ({code})", *log.read().splitlines()[-1:], file=sys.stderr)
                return Result([np.full(len(s), -1) for s in sessions], notes=dict(failed=str(code), seconds=a.limit))
        with np.load(os.path.join(out, "result.npz")) as z:
            labels = np.split(z["labels"], np.cumsum([len(s) for s in sessions])[:-1])
            return Result(labels, z["pairs"] if "pairs" in z.files else None, json.loads(str(z["notes"])))


def one(a):
    resource.setrlimit(resource.RLIMIT_DATA, (int(a.memory_gb * 1e9),) * 2)
    sessions, begun = load(a.folder), time.perf_counter()
    try:
        result = TRACKERS[a.trackers[0]](sessions, a)
        result.notes.setdefault("seconds", time.perf_counter() - begun)
    except ModuleNotFoundError:
        sys.exit(MISSING)
    pairs = {} if result.pairs is None else dict(pairs=result.pairs)
    np.savez(os.path.join(a.out, "result.npz"), labels=np.concatenate(result.labels), notes=json.dumps(result.notes), **pairs)


def joined(session, *labels):
    """Number of pairs of ROIs of different sessions that share all labels; -1 is none."""
    rows = np.column_stack([*labels, session])[np.all(np.array(labels) >= 0, 0)]
    twos = lambda rows: (lambda n: int((n * (n - 1) // 2).sum()))(np.unique(rows, axis=0, return_counts=True)[1])
    return twos(rows[:, :-1]) - twos(rows)


def score(sessions, result):
    cell = np.concatenate([s.cell for s in sessions])
    label = np.concatenate(result.labels)
    session = np.repeat(np.arange(len(sessions)), [len(s) for s in sessions])
    made, true, right = joined(session, label), joined(session, cell), joined(session, label, cell)
    out = dict(made=made, true=true, right=right)
    if result.pairs is not None:
        s, i, t, j = result.pairs[:, :4].astype(int).T
        starts = np.cumsum([0] + [len(x) for x in sessions])
        one, other = cell[starts[s] + i], cell[starts[t] + j]
        p, hit = result.pairs[:, 4], (one == other) & (one >= 0)
        tenth = np.clip((p * 10).astype(int), 0, 9)
        out["tenths"] = [[int(n), float(total), int(good)] for n, total, good in zip(
            np.bincount(tenth, minlength=10), np.bincount(tenth, p, 10), np.bincount(tenth, hit, 10))]
    return out


def settings(a):
    if a.full:
        points = [dict(zip(CHOICES, values)) for values in itertools.product(*CHOICES.values())]
    else:
        points = [{k: MIDDLE[k] for k in CHOICES}]
        points += [{**points[0], k: v} for k, values in CHOICES.items() for v in values if v != MIDDLE[k]]
    return [{**point, "seed": seed} for point in points for seed in range(1, a.seeds + 1)]


def generate(a, setting, out):
    cells, spacing = DENSITY[setting["density"]]
    rotation, scale, warp = MOTION[setting["motion"]]
    side = round(SIDE * (setting.get("cells", cells) / cells) ** 0.5)
    options = dict(sessions=SESSIONS, cells=setting.get("cells", cells), spacing=spacing, height=side, width=side, rotation=rotation,
                   scale=scale, warp=warp, turnover=setting["turnover"] / 100, jitter=setting["jitter"], seed=setting["seed"])
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([*shlex.split(a.write_fields), out, *words], check=True, stdout=subprocess.DEVNULL)


def measured(a, points, gone=None):
    """(setting, tracker, scores) of every point and tracker; peers' from the file if they are known."""
    path = Path(a.peers_results) if a.peers_results else None
    known = json.loads(path.read_text()) if path and path.exists() else {}
    gone = set() if gone is None else gone
    for point in points:
        sessions = None
        with tempfile.TemporaryDirectory() as folder:
            for name in a.trackers:
                if name in gone:
                    continue
                key = json.dumps(dict(tracker=name, sessions=SESSIONS, um=a.um_per_pixel, furthest=a.max_distance_um,
                                      generator=a.generator, **point), sort_keys=True)
                if name == "fluorspar" or key not in known:
                    if sessions is None:
                        generate(a, point, folder)
                        sessions = load(folder)
                    done = run(name, sessions, a)
                    if done is None:
                        gone.add(name)
                        continue
                    found = dict(score(sessions, done[0]), seconds=done[1], rois=sum(map(len, sessions)), version=version(name))
                    found.update({k: v for k, v in done[0].notes.items() if k == "failed"})
                    if name != "fluorspar" and "failed" not in found:
                        known[key] = found
                        if path:
                            path.write_text(json.dumps(known, indent=0, sort_keys=True) + "\n")
                else:
                    found = known[key]
                print(".", end="", file=sys.stderr, flush=True)
                yield point, name, found
    print(file=sys.stderr)


def rates(results):
    made, true, right = (sum(r[k] for r in results) for k in ("made", "true", "right"))
    precision, recall = right / max(made, 1), right / max(true, 1)
    return precision, recall, 2 * right / max(made + true, 1)


def accuracy(a):
    groups = {}
    for point, name, found in measured(a, settings(a)):
        groups.setdefault((tuple(point[k] for k in CHOICES), name), []).append(found)
    print("| turnover % | density | motion | jitter px | tracker | precision | recall | F1 | F1 of the seeds | seconds |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (point, name), results in groups.items():
        each, broken = [rates([r])[2] for r in results], sum("failed" in r for r in results)
        title = f"{name} ({broken} broke down)" if broken else name
        print("| " + " | ".join(map(str, (*point, title))) + " | " + " | ".join(f"{v:.3f}" for v in rates(results))
              + f" | {min(each):.3f} to {max(each):.3f} | {np.median([r['seconds'] for r in results]):.2f} |")
    print("\n| all settings | precision | recall | F1 | settings with the best F1 |\n|---|---|---|---|---|")
    points = list(dict.fromkeys(point for point, _ in groups))
    for name in dict.fromkeys(name for _, name in groups):
        there = [p for p in points if (p, name) in groups]
        own = [groups[p, name] for p in there]
        best = sum(rates(groups[p, name])[2] >= max(rates(groups[k])[2] for k in groups if k[0] == p) for p in there)
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in rates(sum(own, []))) + f" | {best} of {len(own)} |")


def calibration(a):
    total = {}
    for _, name, found in measured(a, settings(a)):
        if "tenths" in found:
            total[name] = total.get(name, 0) + np.array(found["tenths"])
    print("| tracker | p | pairs | mean p | share right |\n|---|---|---|---|---|")
    for name, tenths in total.items():
        for k, (n, p, right) in enumerate(tenths):
            print(f"| {name} | {k / 10:.1f} to {(k + 1) / 10:.1f} | {n:.0f} | " + (f"{p / n:.3f} | {right / n:.3f} |" if n else "| |"))
    if a.figure:
        draw(total, a.figure)
    print("\n| tracker | expected calibration error | the same over pairs with p from 0.1 to 0.9 |\n|---|---|---|")
    for name, tenths in total.items():
        error = lambda part: np.abs(part[:, 1] - part[:, 2]).sum() / max(part[:, 0].sum(), 1)
        print(f"| {name} | {error(tenths):.4f} | {error(tenths[1:9]):.3f} |")


def draw(total, path):
    """Reliability curves, with two standard errors."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(4.6, 4.2))
    axes.plot([0, 1], [0, 1], color="0.7", lw=1)
    for name, tenths in total.items():
        n, p, right = tenths[tenths[:, 0] > 0].T
        share = right / n
        axes.errorbar(p / n, share, 2 * np.sqrt(share * (1 - share) / n), marker="o", ms=4, lw=1.2, label=name)
    axes.set(xlabel="mean p_same", ylabel="share of pairs that are right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def speed(a):
    slow, table = set(), {}
    for cells in a.cells:
        for _, name, found in measured(a, [dict(MIDDLE, cells=cells)], slow):
            table[name, cells] = found
            if found["seconds"] > a.limit / 4:
                slow.add(name)
    print("| tracker | " + " | ".join(f"{n} cells" for n in a.cells) + " |\n|---|" + "---|" * len(a.cells))
    say = lambda found: "" if found is None else "broke down" if "failed" in found else f"{found['seconds']:.2f} s"
    for name in dict.fromkeys(name for name, _ in table):
        print(f"| {name} | " + " | ".join(say(table.get((name, n))) for n in a.cells) + " |")


def pairs_of(result):
    """The set of pairs that a tracker joined, as indices counted through all sessions."""
    label = np.concatenate(result.labels)
    session = np.repeat(np.arange(len(result.labels)), [len(x) for x in result.labels])
    cells = {}
    for roi in np.flatnonzero(label >= 0).tolist():
        cells.setdefault(int(label[roi]), []).append(roi)
    return {(i, j) for rois in cells.values() for k, i in enumerate(rois) for j in rois[k + 1:] if session[i] != session[j]}


def real(a):
    sessions = load(a.folder)
    found = {}
    for name in dict.fromkeys(["cellreg", *a.trackers]):
        done = run(name, sessions, a)
        if done:
            found[name] = (*done, pairs_of(done[0]))
    print(f"{len(sessions)} sessions of {', '.join(str(len(s)) for s in sessions)} ROIs\n")
    print("| tracker | cells | in all sessions | share active | pairs | with CellReg's method: both | only this | only theirs | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    theirs = found["cellreg"][2]
    for name, (result, seconds, pairs) in found.items():
        label = np.concatenate(result.labels)
        sizes = np.unique(label[label >= 0], return_counts=True)[1]
        cells = len(sizes) + int((label < 0).sum())  # a ROI without a cell is a cell of its own
        print(f"| {name} | {cells} | {(sizes == len(sessions)).sum()} | {len(label) / cells / len(sessions):.3f} | {len(pairs)} | "
              f"{len(pairs & theirs)} | {len(pairs - theirs)} | {len(theirs - pairs)} | {seconds:.2f} |")
    print()
    for name, (result, _, _) in found.items():
        print(f"{name}: {json.dumps({k: v for k, v in result.notes.items() if k != 'seconds'})}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, work in (("accuracy", accuracy), ("calibration", calibration), ("speed", speed), ("real", real), ("one", one)):
        command = commands.add_parser(name)
        command.set_defaults(work=work)
        command.add_argument("--program", help="fluorspar; left out if not given")
        command.add_argument("--arguments", default="", help="further arguments of `fluorspar track`")
        command.add_argument("--trackers", nargs="+", default=list(TRACKERS), choices=list(TRACKERS))
        command.add_argument("--um-per-pixel", type=float, default=1.0)
        command.add_argument("--limit", type=float, default=600, help="seconds after which a peer is stopped")
        command.add_argument("--memory-gb", type=float, default=8, help="a peer that wants more breaks down")
        command.add_argument("--max-distance-um", type=float, default=12.0, help="of CellReg's neighbours")
        if name in ("real", "one"):
            command.add_argument("folder")
            if name == "one":  # for this script's own use
                command.add_argument("out")
            continue
        command.add_argument("--write-fields", required=True, help="program that writes sessions with known identities")
        command.add_argument("--peers-results", help="JSON file that keeps the results of peers")
        command.add_argument("--generator", default="1", help="change it when write_fields writes other data than before")
        if name == "speed":
            command.add_argument("--cells", nargs="+", type=int, default=[250, 500, 1000, 2000])
        else:
            command.add_argument("--seeds", type=int, default=3)
            command.add_argument("--full", action="store_true", help="all combinations of properties")
        if name == "calibration":
            command.add_argument("--figure", help="SVG file for the reliability curves; needs matplotlib")
    a = parser.parse_args()
    a.trackers = [name for name in a.trackers if name != "fluorspar" or a.program]
    a.work(a)


if __name__ == "__main__":
    main()
