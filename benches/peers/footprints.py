"""Sessions of footprints as benches of tracking read and move them."""
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

MASK_LEVEL = 0.2  # of a footprint's peak, for trackers that want masks


class Result:
    """`labels`: per session the cell of each ROI, -1 for none. `pairs`: (session, ROI, session, ROI, p) or None."""

    def __init__(self, labels, pairs=None, notes=None):
        self.labels, self.pairs, self.notes = labels, pairs, dict(notes or {})


class Session:
    def __init__(self, path, size=None):
        with np.load(path) as z:
            known = {key: z[key] for key in z.files}
        self.path = str(path)
        height, width = (int(side) for side in known["shape"])
        pixels = known["indices"].astype(np.int64)
        y, x = pixels // width, pixels % width
        self.own_shape = (height, width)
        self.shape = size or (height, width)
        shape = (len(known["indptr"]) - 1, self.shape[0] * self.shape[1])
        self.footprints = csr_matrix((known["weights"].astype(float), y * self.shape[1] + x, known["indptr"]), shape=shape)
        self.cell = known.get("cell")
        self.planes = len(np.unique(known["plane"])) if "plane" in known else 1
        self.image = np.zeros(self.shape)
        inside = self.image[:height, :width]
        inside[:] = known["mean_image"][0] if "mean_image" in known else projection(self)[:height, :width]

    def __len__(self):
        return self.footprints.shape[0]


def load(folder):
    paths = sorted(Path(folder).glob("*.npz"))
    if len(paths) < 2:
        sys.exit(f"{folder}: fewer than two sessions")
    shapes = [Session(path).shape for path in paths]
    return [Session(path, tuple(np.max(shapes, 0))) for path in paths]


def projection(session):
    return np.asarray(session.footprints.sum(0)).reshape(session.shape)


def centres(footprints, width):
    """Centres of mass (y, x) of every row."""
    pixels = np.arange(footprints.shape[1])
    total = np.maximum(np.asarray(footprints.sum(1)).ravel(), 1e-12)
    return np.stack([footprints @ (pixels // width) / total, footprints @ (pixels % width) / total], 1)


def moved(footprints, shape, angle=0.0, shift=(0.0, 0.0)):
    """Footprints laid into another frame, bilinearly: pixel q takes the value at R(-angle)(q + shift - c) + c."""
    height, width = shape
    middle = (np.array(shape) / 2)[:, None]
    at = np.indices(shape).reshape(2, -1) + np.reshape(shift, (2, 1)) - middle
    c, s = np.cos(angle), np.sin(angle)
    y, x = np.array([[c, s], [-s, c]]) @ at + middle
    rows, columns, values = [], [], []
    for dy in (0, 1):
        for dx in (0, 1):
            yy, xx = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
            inside = (yy >= 0) & (yy < height) & (xx >= 0) & (xx < width)
            rows.append((yy * width + xx)[inside]), columns.append(np.flatnonzero(inside))
            values.append(((1 - abs(y - yy)) * (1 - abs(x - xx)))[inside])
    n = height * width
    out = footprints @ csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
    out.eliminate_zeros()
    return out


def masks(footprints):
    """Ones where a footprint exceeds a fifth of its peak."""
    out, peak = footprints.tocsr(copy=True), footprints.max(1).toarray().ravel()
    out.data = (out.data > MASK_LEVEL * np.repeat(peak, np.diff(out.indptr))).astype(float)
    out.eliminate_zeros()
    return out


def overlap(a, b):
    """Intersection over union of all masks of a with all of b."""
    shared = (a @ b.T).toarray()
    union = np.asarray(a.sum(1)) + np.asarray(b.sum(1)).T - shared
    return shared / np.maximum(union, 1)
