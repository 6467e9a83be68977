"""Dissimilarity matrices, CKA and shape distances of fluorspar beside the Python programs of the field.

    similarity.py agree EXAMPLE_DIR      exits with an error at the first disagreement
    similarity.py speed EXAMPLE_DIR      ratios of the time each takes

EXAMPLE_DIR holds the built example compare_codes. Needs numpy, scipy and
rsatoolbox. netrep is not on PyPI, so its shape metrics are computed here from
the formulas of Williams et al. 2021 as netrep documents them.
"""
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, calc_rdm, compare
from scipy.linalg import subspace_angles
from scipy.optimize import linear_sum_assignment

example = Path(sys.argv[2]) / "compare_codes"
warnings.filterwarnings("ignore")


def codes(seed, conditions, cells, folds=3, trials=40, precision=True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(conditions, cells)) + 5
    residuals = rng.normal(size=(trials, cells)) * rng.uniform(0.5, 2, cells)
    residuals -= residuals.mean(0)
    data = {
        "x": x,
        "y": 0.6 * x + 0.4 * rng.normal(size=(conditions, cells)) + 1,
        "folds": x[None] + rng.normal(size=(folds, conditions, cells)),
        "residuals": residuals,
    }
    if precision:
        a = rng.normal(size=(cells, 2 * cells))
        data["precision"] = np.linalg.inv(a @ a.T / cells)
    return data


def ours(data, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "codes.npz"
        np.savez(path, **data)
        run = subprocess.run([example, path, *arguments], capture_output=True, text=True, check=True)
    return {name: np.array(values) for name, values in json.loads(run.stdout).items()}


def pairs(rdms):
    return rdms.get_vectors()[0]


def rdm_crossed(folds, noise=None):
    count, conditions, cells = folds.shape
    data = Dataset(
        folds.reshape(-1, cells),
        obs_descriptors={
            "condition": np.tile(np.arange(conditions), count),
            "fold": np.repeat(np.arange(count), conditions),
        },
    )
    return pairs(calc_rdm(data, method="crossnobis", descriptor="condition", cv_descriptor="fold", noise=noise))


def centred(a):
    return a - a.mean(0)


def angle(a, b):
    return np.arccos(np.clip((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))


def partially_whitened(a, alpha):
    """Axes of variance v scaled by alpha + (1 - alpha)/sqrt(v), total variance kept.

    Axes without variance are left out; netrep counts them in the total, which
    changes the scale, and so Euclidean distances, if cells outnumber patterns.
    """
    a = centred(a)
    if alpha == 1:
        return a
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    real = s > 1e-10 * s[0]
    u, s, vt = u[:, real], s[real], vt[real]
    new = s * (alpha + (1 - alpha) / s)
    return (u * new * np.linalg.norm(s) / np.linalg.norm(new)) @ vt


def shape(data, alpha):
    a, b = partially_whitened(data["x"], alpha), partially_whitened(data["y"], alpha)
    u, _, vt = np.linalg.svd(a.T @ b)
    a, b = a @ u, b @ vt.T
    return angle(a, b), np.linalg.norm(a - b)


def permuted(data):
    a, b = centred(data["x"]), centred(data["y"])
    _, order = linear_sum_assignment(a.T @ b, maximize=True)
    return angle(a, b[:, order]), np.linalg.norm(a - b[:, order])


def unbiased_hsic(k, l):
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    ones = np.ones(n)
    whole = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + whole - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3))


def cka(data):
    k, l = data["x"] @ data["x"].T, data["y"] @ data["y"].T
    return unbiased_hsic(k, l) / np.sqrt(unbiased_hsic(k, k) * unbiased_hsic(l, l))


def biased_cka(data):
    x, y = centred(data["x"]), centred(data["y"])
    return np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)


def canonical(data):
    a, b = (np.linalg.qr(centred(data[name][:4].T))[0] for name in "xy")
    return np.linalg.svd(a.T @ b, compute_uv=False)


def root(a):
    values, vectors = np.linalg.eigh(a)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def bures(data):
    a, b = data["residuals"], data["folds"][0]
    a, b = a.T @ a / len(a), b.T @ b / len(b)
    half = root(a)
    return np.sqrt(np.trace(a) + np.trace(b) - 2 * np.trace(root(half @ b @ half)))


def compared(data, method):
    rdms = [calc_rdm(Dataset(data[name]), method="euclidean") for name in "xy"]
    return compare(*rdms, method=method).ravel()


def ceiling(data, method):
    each = [pairs(calc_rdm(Dataset(fold), method="euclidean")) for fold in data["folds"]]
    return boot_noise_ceiling(RDMs(np.array(each)), method=method)


def shrunk(data):
    return prec_from_residuals(data["residuals"], method="shrinkage_eye")


def patterns(data, method, noise=None):
    return pairs(calc_rdm(Dataset(data["x"]), method=method, noise=noise))


theirs = {
    "correlation": lambda d: patterns(d, "correlation"),
    "euclidean": lambda d: patterns(d, "euclidean"),
    "mahalanobis_given": lambda d: patterns(d, "mahalanobis", d["precision"]),
    "mahalanobis_shrunk": lambda d: patterns(d, "mahalanobis", shrunk(d)),
    "crossnobis": lambda d: rdm_crossed(d["folds"]),
    "crossnobis_shrunk": lambda d: rdm_crossed(d["folds"], shrunk(d)),
    "pearson": lambda d: compared(d, "corr"),
    "spearman": lambda d: compared(d, "spearman"),
    "cosine": lambda d: compared(d, "cosine"),
    "rho_a": lambda d: compared(d, "rho-a"),
    "tau_a": lambda d: compared(d, "tau-a"),
    "whitened_cosine": lambda d: compared(d, "cosine_cov"),
    "ceiling_cosine": lambda d: ceiling(d, "cosine"),
    "ceiling_pearson": lambda d: ceiling(d, "corr"),
    "ceiling_spearman": lambda d: ceiling(d, "spearman"),
    "cka": cka,
    "cka_biased": biased_cka,
    "angles": lambda d: np.sort(subspace_angles(d["x"][:4].T, d["y"][:4].T)),
    "canonical": canonical,
    "shape_1": lambda d: shape(d, 1.0),
    "shape_half": lambda d: shape(d, 0.5),
    "shape_0": lambda d: shape(d, 0.0),
    "permutation": permuted,
    "bures": bures,
}


def agree():
    worst = dict.fromkeys(theirs, 0.0)
    # More patterns than cells, and fewer, where full whitening makes any two sides alike.
    for seed, conditions, cells in ((1, 31, 12), (2, 40, 30), (3, 12, 60), (4, 10, 200)):
        data = codes(seed, conditions, cells)
        found = ours(data)
        for name, peer in theirs.items():
            expected = np.asarray(peer(data), float)
            scale = max(1.0, np.abs(expected).max())
            difference = np.abs(found[name] - expected).max() / scale
            # The peer's arc cosine keeps half the digits of an angle of 0.
            if name == "shape_0" and cells >= conditions:
                assert difference < 1e-6, (name, conditions, cells, difference)
                continue
            worst[name] = max(worst[name], difference)
            assert difference < 1e-8, (name, conditions, cells, difference)
    for name, difference in worst.items():
        print(f"{name:20} worst difference {difference:.1e}")


def speed():
    data = codes(5, 60, 500, trials=80, precision=False)
    # The example times all metrics, so it needs a precision matrix; the identity will do.
    data["precision"] = np.eye(500)
    found = ours(data, "seconds")
    print("60 conditions, 500 cells        ours ms   peer ms   ratio")
    for name, peer in theirs.items():
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            peer(data)
            best = min(best, time.perf_counter() - start)
        mine = found[name][0]
        print(f"{name:30} {1e3 * mine:8.2f} {1e3 * best:9.2f} {best / mine:7.1f}")


{"agree": agree, "speed": speed}[sys.argv[1]]()
