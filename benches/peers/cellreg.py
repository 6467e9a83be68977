"""CellReg's method (Sheintuch et al. 2017, Cell Reports 21:1102), our NumPy transcription: CellReg itself is MATLAB.

The head of track.py says what is done, and where it departs.
"""
import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.optimize import curve_fit, fsolve, least_squares
from scipy.spatial import cKDTree
from scipy.special import psi
from scipy.stats import beta

from footprints import Result, centres, moved, projection

ROTATIONS = np.arange(-30, 30.25, 0.5)  # degrees
LEAST_ROTATION = 0.3  # degrees; less is not worth resampling
LEAST_CENTROID_CORRELATION = 0.2  # below, footprints are compared in place of centroids
CELL_UM = 10.0
P_SAME = 0.5
PASSES = 10


def discs(places, shape):
    """An image of small discs at the places (y, x)."""
    image = np.zeros((shape[0] + 2, shape[1] + 2))
    y, x = np.round(places).astype(int).T + 1
    inside = (y > 0) & (x > 0) & (y <= shape[0]) & (x <= shape[1])
    for dy, dx in np.ndindex(3, 3):
        np.add.at(image, (y[inside] + dy - 1, x[inside] + dx - 1), (1, 0.5, 0.25)[abs(dy - 1) + abs(dx - 1)])
    return image[1:-1, 1:-1]


class Correlator:
    """Normalised cross-correlation of images with a template, for shifts up to a third of the field."""

    def __init__(self, template):
        self.shape = template.shape
        self.reach = [side // 3 for side in self.shape]
        self.padded = [next_fast_len(side + reach, real=True) for side, reach in zip(self.shape, self.reach)]
        template = template - template.mean()
        self.norm = np.sqrt((template**2).sum())
        self.spectrum = np.conj(rfft2(template, self.padded))
        self.spans = []
        for side, reach in zip(self.shape, self.reach):
            d = np.arange(-reach, reach + 1)
            self.spans.append((np.maximum(d, 0), np.minimum(side, side + d)))

    def window_sums(self, image):
        table = np.pad(image, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
        (y0, y1), (x0, x1) = self.spans
        rows = table[y1] - table[y0]
        return rows[:, x1] - rows[:, x0]

    def __call__(self, image):
        """At [reach + dy, reach + dx]: correlation of the template with the image moved by (-dy, -dx)."""
        product = irfft2(self.spectrum * rfft2(image, self.padded), self.padded)
        product = product[np.ix_(*(np.arange(-reach, reach + 1) for reach in self.reach))]
        variance = self.window_sums(image**2) - self.window_sums(image) ** 2 / np.prod(self.shape)
        return product / (self.norm * np.sqrt(np.maximum(variance, 1e-12)) + 1e-12)


def peak_of_gaussian(x, y, sigma):
    """Where a Gaussian fitted to y(x) has its peak; 0 if it cannot be fitted inside the range."""
    y = y - y.min()
    gauss = lambda x, height, mu, sigma: height * np.exp(-((x - mu) ** 2) / (2 * sigma**2))
    try:
        (_, mu, _), _ = curve_fit(gauss, x, y, p0=(y.max(), 0.0, sigma), maxfev=500)
    except RuntimeError:
        return 0.0
    return mu if x[0] <= mu <= x[-1] else 0.0


def rigid_alignment(reference, session, um_per_pixel):
    """Angle (radians) and shift (pixels) that lay a session onto the reference."""
    shape = reference.shape
    middle = np.array(shape) / 2
    ours, theirs = centres(reference.footprints, shape[1]), centres(session.footprints, shape[1])
    turn = lambda angle: (theirs - middle) @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + middle
    by_centroids = Correlator(discs(ours, shape))
    scores = np.array([by_centroids(discs(turn(np.deg2rad(r)), shape)).max() for r in ROTATIONS])
    best, span = int(scores.argmax()), 10
    near = np.arange(-span, span + 1)
    inside = (best + near >= 0) & (best + near < len(scores))
    rotation = ROTATIONS[best] + 0.5 * np.clip(peak_of_gaussian(near[inside], scores[best + near[inside]], 0.1 * span), -1, 1)
    angle = np.deg2rad(rotation) if abs(rotation) > LEAST_ROTATION else 0.0
    correlation, reach = by_centroids(discs(turn(angle), shape)), by_centroids.reach
    if correlation.max() < LEAST_CENTROID_CORRELATION:
        by_footprints = Correlator(projection(reference))
        correlation = by_footprints(np.asarray(moved(session.footprints, shape, angle).sum(0)).reshape(shape))
    at = np.array(np.unravel_index(correlation.argmax(), correlation.shape))
    shift = at - reach
    radius = max(2, round(1.5 * CELL_UM / um_per_pixel))
    if np.all(at >= radius) and np.all(at < np.array(correlation.shape) - radius):
        near, sigma = np.arange(-radius, radius + 1), max(0.5, CELL_UM / um_per_pixel / 5)
        lines = correlation[at[0] + near, at[1]], correlation[at[0], at[1] + near]
        shift = shift + [np.clip(peak_of_gaussian(near, line, sigma), -1, 1) for line in lines]
    return angle, shift, turn(angle) - shift, correlation.max()


def neighbours(places, footprints, furthest):
    """All pairs of ROIs of different sessions that are closer than `furthest`: sessions, ROIs, distance, correlation."""
    trees, found, n = [cKDTree(p) for p in places], [], footprints[0].shape[1]
    sums = [np.asarray(f.sum(1)).ravel() for f in footprints]
    norms = [np.sqrt(np.maximum(np.asarray(f.multiply(f).sum(1)).ravel() - s**2 / n, 1e-12)) for f, s in zip(footprints, sums)]
    for s in range(len(places)):
        for t in range(s + 1, len(places)):
            near = trees[s].sparse_distance_matrix(trees[t], furthest, output_type="coo_matrix")
            i, j = near.row, near.col
            product = np.asarray(footprints[s][i].multiply(footprints[t][j]).sum(1)).ravel()
            correlation = (product - sums[s][i] * sums[t][j] / n) / (norms[s][i] * norms[t][j])
            correlation[(sums[s][i] <= 0) | (sums[t][j] <= 0)] = 0
            found.append(np.stack([np.full(len(i), s), i, np.full(len(i), t), j, near.data, correlation], 1))
    return np.concatenate(found)


def lognormal(x, mu, sigma):
    return np.exp(-((np.log(x) - mu) ** 2) / (2 * sigma**2)) / (x * sigma * np.sqrt(2 * np.pi))


def normalised(density, width):
    return density / max(density.sum() * width, 1e-300)


def summarise_model(name, bins, width, histogram, same, different, share, values):
    """p_same in every bin, errors at p_same = 0.5, and how far the model is from the data."""
    p = share * same / np.maximum(share * same + (1 - share) * different, 1e-300)
    if name == "distance":
        p[0] = p[1]  # a lognormal says nothing about distance 0
    misfit = np.abs(histogram - share * same - (1 - share) * different).sum() * width / 2
    wrong = different[p > P_SAME].sum() / max(different.sum(), 1e-300)
    missed = same[p <= P_SAME].sum() / max(same.sum(), 1e-300)
    p_of = p[np.clip((values / width).astype(int), 0, len(bins) - 1)]
    crossing = bins[p > P_SAME].min() - width / 2 if name == "correlation" else bins[p > P_SAME].max() + width / 2
    return dict(name=name, p=p_of, threshold=crossing, false_positives=wrong, false_negatives=missed, misfit=misfit,
                uncertain=((p_of > 0.05) & (p_of < 0.95)).mean())


def distance_model(distance, furthest, n):
    """Same cells: lognormal; different ones: area that grows with distance, with a soft start. Micrometres."""
    width = furthest / n
    bins = (np.arange(n) + 0.5) * width
    histogram = normalised(np.histogram(distance, n, (0, furthest))[0].astype(float), width)
    near = np.log(distance[distance < 0.75 * furthest])
    share = len(near) / len(distance)
    half = n // 2
    slope = max(histogram[-1] - histogram[half], 1e-6) / (bins[-1] - bins[half]) / max(1 - share, 0.05)
    start = [np.clip(share, 0.01, 0.99), near.mean(), near.std(), 1.0, furthest / 2, slope]
    different = lambda q: q[5] * bins / (1 + np.exp(np.clip(-q[3] * (bins - q[4]), -50, 50)))
    residual = lambda q: q[0] * lognormal(bins, q[1], q[2]) + (1 - q[0]) * different(q) - histogram
    q = least_squares(residual, start, bounds=([0, -np.inf, 1e-3, 0, 0, 0], [1] + [np.inf] * 5), max_nfev=1000).x
    same, other = normalised(lognormal(bins, q[1], q[2]), width), normalised(different(q), width)
    return summarise_model("distance", bins, width, histogram, same, other, q[0], distance)


def beta_parameters(x, weights):
    """Most likely parameters of a beta distribution of weighted values; the search starts from the moments."""
    weights = weights / weights.sum()
    mean, logs = weights @ x, np.array([weights @ np.log(x), weights @ np.log1p(-x)])
    scale = max(mean * (1 - mean) / max(weights @ (x - mean) ** 2, 1e-12) - 1, 1e-3)
    equations = lambda v: psi(np.exp(v)) - psi(np.exp(v).sum()) - logs
    return np.exp(fsolve(equations, np.log(np.maximum([mean * scale, (1 - mean) * scale], 1e-3))))


def correlation_model(correlation, n):
    """Same cells: lognormal of 1 - r, softly cut at small r; different ones: beta distribution of r. Found by EM."""
    width = 1.0 / n
    bins = (np.arange(n) + 0.5) * width
    r = np.clip(correlation[correlation >= 0], 1e-10, 1 - 1e-10)
    same, log_rest = (r >= 0.7).astype(float), np.log1p(-r)
    for step in range(101):
        mu = (same @ log_rest) / same.sum()
        sigma = max(np.sqrt((same @ (log_rest - mu) ** 2) / same.sum()), 1e-3)
        p, q = beta_parameters(r, 1 - same)
        share = same.mean() if step else 0.5
        if step < 100:
            one, other = share * lognormal(1 - r, mu, sigma), (1 - share) * beta.pdf(r, p, q)
            same = one / np.maximum(one + other, 1e-300)
    density = normalised(lognormal(1 - bins, mu, sigma), width) / (1 + np.exp(-20 * (bins - bins[0] - 0.5)))
    density[: n // 10] = 0
    histogram = normalised(np.histogram(r, n, (0, 1))[0].astype(float), width)
    other = normalised(beta.pdf(bins, p, q), width)
    return summarise_model("correlation", bins, width, histogram, density, other, share, np.clip(correlation, 0, 1))


def first_registration(session, similar):
    """Each ROI, session by session, joins the most similar cell that an earlier ROI founded, from p_same = 0.5."""
    label, held = list(range(len(session))), {}
    for roi, others in enumerate(similar):
        founders = [(p, o) for o, p in others.items() if session[o] < session[roi] and label[o] == o and p >= P_SAME]
        if founders:
            p, founder = max(founders)
            rival = held.get((founder, session[roi]))
            if rival is None or p > similar[rival][founder]:
                if rival is not None:
                    label[rival] = rival
                held[founder, session[roi]], label[roi] = roi, founder
    return label


def clustering(sizes, pairs, p, places, furthest):
    """Moves ROIs to the cluster of largest p_same, splits off those that fit none, merges clusters; until few change."""
    offsets, place = np.cumsum([0, *sizes]).tolist(), np.concatenate(places)
    session = np.repeat(np.arange(len(sizes)), sizes).tolist()
    similar, members, fresh = [{} for _ in session], {}, len(session)
    for s, i, t, j, value in zip(*pairs[:, :4].astype(int).T.tolist(), p.tolist()):
        similar[offsets[s] + i][offsets[t] + j] = similar[offsets[t] + j][offsets[s] + i] = value
    label = first_registration(session, similar)
    for roi, cluster in enumerate(label):
        members.setdefault(cluster, {})[session[roi]] = roi

    def likeness(roi, cluster):
        return max((similar[roi].get(r, 0.0) for s, r in members[cluster].items() if s != session[roi]), default=0.0)

    def move(roi, cluster):
        del members[label[roi]][session[roi]]
        if not members[label[roi]]:
            del members[label[roi]]
        members.setdefault(cluster, {})[session[roi]], label[roi] = roi, cluster

    def middles():
        return {cluster: place[list(held.values())].mean(0) for cluster, held in members.items()}

    for _ in range(PASSES):
        changes, middle = 0, middles()
        for roi in range(len(session)):
            near = {label[other] for other in similar[roi]} | {label[roi]}
            near = [c for c in near if c in middle and np.hypot(*(place[roi] - middle[c])) < 1.7 * furthest]
            value, _, best = max(((likeness(roi, c), c == label[roi], c) for c in near), default=(0.0, True, label[roi]))
            if value < P_SAME:
                if len(members[label[roi]]) > 1:
                    move(roi, fresh)
                    middle[fresh], fresh, changes = place[roi], fresh + 1, changes + 1
            elif best != label[roi]:
                rival = members[best].get(session[roi])
                if rival is None or value > likeness(rival, best):
                    own = label[roi]
                    if rival is not None:
                        move(rival, fresh)
                        middle[fresh], fresh = place[rival], fresh + 1
                    move(roi, best)
                    changes += 1
                    if own not in members:
                        middle.pop(own, None)
        middle = middles()
        for cluster in list(members):
            if cluster not in members:
                continue
            near = {label[other] for roi in members[cluster].values() for other, v in similar[roi].items() if v > P_SAME}
            for other in sorted(near - {cluster}):
                apart = np.hypot(*(middle[cluster] - middle[other])) < 1.7 * furthest
                if apart and not members[cluster].keys() & members[other].keys():
                    for roi in list(members[other].values()):
                        move(roi, cluster)
                    changes += 1
        if changes <= 10:
            break
    return label, members, similar, session


def register_scores(members, similar, session, count):
    """Means over cells of CellReg's four scores."""
    scores = {"score": [], "true positive": [], "true negative": [], "exclusivity": []}
    for held in members.values():
        matched, free, missed = [], [], []
        for s, roi in held.items():
            total = np.zeros(count)
            for other, value in similar[roi].items():
                total[session[other]] += value
            own = {t: similar[roi].get(other, 0.0) for t, other in held.items() if t != s}
            matched += own.values()
            free += [1 - total[t] + value for t, value in own.items()]
            missed += [1 - total[t] for t in range(count) if t not in held]
        good = [p + f - 1 for p, f in zip(matched, free)] + missed
        for name, values in zip(scores, (good, matched, missed, free)):
            scores[name] += [np.mean(values)] if values else []
    return {name: round(float(np.mean(values)), 3) for name, values in scores.items()}


def cellreg(sessions, a):
    shape, sizes = sessions[0].shape, [len(s) for s in sessions]
    places, footprints, correlations = [centres(sessions[0].footprints, shape[1])], [sessions[0].footprints], []
    for session in sessions[1:]:
        angle, shift, place, correlation = rigid_alignment(sessions[0], session, a.um_per_pixel)
        places.append(place), footprints.append(moved(session.footprints, shape, angle, shift)), correlations.append(correlation)
    furthest = a.max_distance_um / a.um_per_pixel
    pairs = neighbours(places, footprints, furthest)
    n = int(min(100, 10 * round((40 + sizes[0] / 600 * len(sessions) ** 2) / 10)))
    models = [distance_model(np.maximum(pairs[:, 4], 1e-10) * a.um_per_pixel, a.max_distance_um, n), correlation_model(pairs[:, 5], n)]
    best = min(models, key=lambda m: m["uncertain"] + m["misfit"])
    label, members, similar, session = clustering(sizes, pairs, best["p"], places, furthest)
    notes = {m["name"]: {k: round(float(v), 3) for k, v in m.items() if k not in ("name", "p")} for m in models}
    notes.update(model=best["name"], alignment=[round(float(c), 3) for c in correlations])
    notes["scores"] = register_scores(members, similar, session, len(sessions))
    return Result(np.split(label, np.cumsum(sizes)[:-1]), np.column_stack([pairs[:, :4], best["p"]]), notes)
