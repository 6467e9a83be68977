//! Where each part of a frame is, beyond the shift of the whole.
//!
//! Frame and reference are divided by the spectrum of the noise, so that the
//! correlation of a tile with the reference, displaced, is a log-likelihood
//! of that displacement. Tiles alone say little; what they say together under
//! the expectation that a brain bends little is the displacement field of
//! highest posterior probability, found by Gauss–Newton steps whose matrix
//! depends on the reference only.

use faer::Mat;
use fluorspar_movie::pulp::{Arch, Simd, WithSimd};
use fluorspar_movie::vectorised;

use crate::Grid;
use crate::fourier::{Fourier, Spectrum, scale};
use crate::stiffness::covariance;
use crate::warp::keys;

/// Displacements tried around the coarse one, pixels.
const FINE: usize = 3;
const FINE_SIDE: usize = 2 * FINE + 1;
/// Displacements tried at half resolution, in pixels of that.
const COARSE: usize = 4;
const COARSE_SIDE: usize = 2 * COARSE + 1;
const MAP: usize = COARSE_SIDE * COARSE_SIDE;
/// Largest deviation that the coarse search covers, pixels.
pub(crate) const LARGEST: usize = 2 * COARSE - 1;
/// Standard deviations, in tiles, of the neighbourhoods that look for a tile's coarse place together.
const NEIGHBOURHOODS: [f32; 3] = [1.25, 2.5, 5.0];
/// The peak must stand out from the rest by this factor to be believed with
/// the smaller neighbourhood.
const CLEAR: f32 = 1.2;
/// Gauss–Newton steps.
const STEPS: usize = 5;
/// Smoothing of the correlation, pixels: keeps its peak wide enough to be
/// interpolated from whole pixels.
const SMOOTHING: f64 = 1.0;
/// Most values in a vector register.
const LANES: usize = 16;
/// Highest frequency that is looked at, cycles per pixel along each axis: of
/// what lies above, the smoothing leaves less than a tenth, and of the
/// images' own structure the microscope has left little.
const HIGHEST: f64 = 0.35;

/// Pixels with zeros around them.
#[derive(Clone, Debug)]
pub(crate) struct Padded {
    values: Vec<f32>,
    stride: usize,
    pad: usize,
}

impl Padded {
    fn zeros(height: usize, width: usize, pad: usize) -> Self {
        let stride = (width + 2 * pad + LANES).next_multiple_of(LANES);
        Self {
            values: vec![0.0; stride * (height + 2 * pad)],
            stride,
            pad,
        }
    }

    fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let start = (y + self.pad) * self.stride + self.pad;
        &mut self.values[start..(self.pad + y + 1) * self.stride]
    }

    /// From pixel `(y, x)`, which may lie in the padding, on.
    #[inline(always)]
    fn from(&self, y: isize, x: isize) -> &[f32] {
        let pad = self.pad as isize;
        &self.values[((y + pad) * self.stride as isize + x + pad) as usize..]
    }

    /// Means of 2 × 2 pixels of an image of `height × width`.
    fn halve_into(&self, height: usize, width: usize, out: &mut Self) {
        for y in 0..height / 2 {
            let (top, bottom) = (
                self.from(2 * y as isize, 0),
                self.from(2 * y as isize + 1, 0),
            );
            let pairs = top[..width / 2 * 2]
                .chunks_exact(2)
                .zip(bottom.chunks_exact(2));
            for (slot, (a, b)) in out.row_mut(y).iter_mut().zip(pairs) {
                *slot = 0.25 * (a[0] + a[1] + b[0] + b[1]);
            }
        }
    }
}

/// The estimator of displacement fields against one reference.
#[derive(Clone, Debug)]
pub(crate) struct Piecewise {
    grid: Grid,
    /// Per frequency; divides frame and reference by the noise.
    weights: Vec<f32>,
    template: Padded,
    coarse_template: Padded,
    /// Precision that the reference gives each node, `[yy, xx, yx]`, px⁻².
    information: Vec<[f64; 3]>,
    /// `Σ template²`.
    energy: f64,
    /// Turns a correlation into a log-likelihood.
    gain: f64,
    /// Covariance of the field, row-major.
    covariance: Vec<f32>,
    max_deviation: usize,
}

/// Work space of one thread.
#[derive(Clone, Debug)]
pub(crate) struct PiecewiseScratch {
    aligned: Padded,
    coarse: Padded,
    maps: Vec<f32>,
    smooth: [Vec<f32>; 2],
    fine: Vec<f32>,
    start: Vec<[i32; 2]>,
    force: Vec<f32>,
}

impl Piecewise {
    /// From the spectrum of the tapered reference, the power of the noise per
    /// frequency (layout of [`Fourier::weights`]) and the field's stiffness.
    pub(crate) fn new(
        fourier: &Fourier,
        reference: &Spectrum,
        noise: &[f32],
        bending: &Mat<f64>,
        stiffness: f64,
        grid: &Grid,
        max_deviation: usize,
    ) -> Option<Self> {
        let (height, width) = grid.image_dim();
        let pixels = (height * width) as f64;
        let gauss = fourier.weights(|kx, ky| {
            if kx.abs().max(ky.abs()) > HIGHEST {
                return 0.0;
            }
            let square = 2.0 * (std::f64::consts::PI * SMOOTHING).powi(2);
            (-square * (kx * kx + ky * ky)).exp()
        });
        // Unit variance per pixel where the noise is as expected.
        let weights: Vec<f32> = gauss
            .iter()
            .zip(noise)
            .map(|(&g, &n)| {
                (pixels * f64::from(g) / f64::from(n.max(f32::MIN_POSITIVE))).sqrt() as f32
            })
            .collect();
        let mut spectrum = reference.clone();
        scale(spectrum.padded_mut(), &weights);
        // Smoothing spends information; the likelihood counts what is left:
        // the expected curvature over the variance of the slope.
        let square = fourier.weights(|kx, ky| kx * kx + ky * ky);
        let moment = |power: i32| {
            fourier.sum(|k| {
                let smooth = f64::from(gauss[k]).powi(power) * f64::from(square[k]);
                smooth * f64::from(reference.padded()[k].norm_sqr())
                    / f64::from(noise[k].max(f32::MIN_POSITIVE))
            })
        };
        let gain = moment(1) / moment(2).max(f64::MIN_POSITIVE);
        let mut template = Padded::zeros(height, width, LARGEST + 2 * FINE);
        fourier.inverse(&mut spectrum, &mut fourier.scratch(), |y, line| {
            template.row_mut(y)[..width].copy_from_slice(line);
        });
        let mut coarse_template = Padded::zeros(height / 2, width / 2, COARSE + LANES);
        template.halve_into(height, width, &mut coarse_template);
        let energy = template.values.iter().map(|&v| f64::from(v).powi(2)).sum();
        let information: Vec<[f64; 3]> = (0..grid.len())
            .map(|tile| {
                let mut map = [0.0; FINE_SIDE * FINE_SIDE];
                correlate_tile(&template, grid.tile(tile), &template, [0, 0], &mut map);
                curvature(&map).map(|v| v * gain)
            })
            .collect();
        let inverse = covariance(&information, bending, stiffness)?;
        let n = 2 * grid.len();
        let covariance = (0..n)
            .flat_map(|i| (0..n).map(move |j| (i, j)))
            .map(|at| inverse[at] as f32)
            .collect();
        Some(Self {
            grid: grid.clone(),
            weights,
            template,
            coarse_template,
            information,
            energy,
            gain,
            covariance,
            max_deviation,
        })
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.grid
    }

    pub(crate) fn information(&self) -> &[[f64; 3]] {
        &self.information
    }

    pub(crate) fn scratch(&self) -> PiecewiseScratch {
        let (height, width) = self.grid.image_dim();
        let tiles = self.grid.len();
        let maps = tiles * MAP;
        PiecewiseScratch {
            aligned: Padded::zeros(height, width, 0),
            coarse: Padded::zeros(height / 2, width / 2, 0),
            maps: vec![0.0; maps],
            smooth: [vec![0.0; maps], vec![0.0; maps]],
            fine: vec![0.0; tiles * FINE_SIDE * FINE_SIDE],
            start: vec![[0; 2]; tiles],
            force: vec![0.0; 2 * tiles],
        }
    }

    /// Columns of a spectrum that hold the frequencies that are looked at.
    pub(crate) fn columns(&self) -> usize {
        let (_, width) = self.grid.image_dim();
        (HIGHEST * width as f64) as usize + 1
    }

    /// Per frequency; divides frame and reference by the noise.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Takes the rows of a filtered frame to where whole pixels of `shift` bring them.
    pub(crate) fn alignment<'a>(
        &self,
        shift: (f32, f32),
        scratch: &'a mut PiecewiseScratch,
    ) -> Alignment<'a> {
        let (height, _) = self.grid.image_dim();
        let whole = (shift.0.round() as isize, shift.1.round() as isize);
        for y in 0..height {
            let from = y as isize + whole.0;
            if from < 0 || from >= height as isize {
                scratch.aligned.row_mut(y).fill(0.0);
            }
        }
        Alignment {
            out: &mut scratch.aligned,
            whole,
        }
    }

    /// The displacement `(component, node y, node x)` beyond `shift` of the
    /// frame that has been aligned by it. Zero where the frame has nothing in
    /// common with the reference.
    pub(crate) fn estimate(
        &self,
        shift: (f32, f32),
        scratch: &mut PiecewiseScratch,
        nodes: &mut [f32],
    ) {
        let (height, width) = self.grid.image_dim();
        scratch
            .aligned
            .halve_into(height, width, &mut scratch.coarse);
        self.search(scratch);
        let maps = scratch.fine.chunks_exact_mut(FINE_SIDE * FINE_SIDE);
        for (tile, (map, start)) in maps.zip(&scratch.start).enumerate() {
            let rectangle = self.grid.tile(tile);
            correlate_tile(&scratch.aligned, rectangle, &self.template, *start, map);
        }
        self.climb(scratch, nodes);
        let (down, across) = nodes.split_at_mut(self.grid.len());
        for (part, total) in [(down, shift.0), (across, shift.1)] {
            for node in part {
                *node += total.round() - total;
            }
        }
    }

    /// Each tile's displacement to about a pixel, found together with its
    /// neighbours, with more of them the less clear the peak is.
    fn search(&self, scratch: &mut PiecewiseScratch) {
        let (rows, columns) = self.grid.dim();
        for (tile, map) in scratch.maps.chunks_exact_mut(MAP).enumerate() {
            let halves = self.grid.tile(tile).map(|edge| edge / 2);
            correlate_coarse(&scratch.coarse, halves, &self.coarse_template, map);
        }
        let limit = self.max_deviation.div_ceil(2) as i32;
        let mut found = vec![false; rows * columns];
        for (level, sigma) in NEIGHBOURHOODS.into_iter().enumerate() {
            if found.iter().all(|&f| f) {
                break;
            }
            let last = level + 1 == NEIGHBOURHOODS.len();
            let [along, both] = &mut scratch.smooth;
            blur(&scratch.maps, along, (rows, columns), sigma, false);
            blur(along, both, (rows, columns), sigma, true);
            for (tile, map) in both.chunks_exact(MAP).enumerate() {
                if found[tile] {
                    continue;
                }
                let (place, clear) = peak(map, limit);
                if clear >= CLEAR || last {
                    found[tile] = true;
                    let most = self.max_deviation as i32;
                    scratch.start[tile] =
                        place.map(|v| ((2.0 * v).round() as i32).clamp(-most, most));
                }
            }
        }
    }

    /// From the coarse places to the most probable field.
    fn climb(&self, scratch: &mut PiecewiseScratch, nodes: &mut [f32]) {
        let tiles = self.grid.len();
        let maps = || scratch.fine.chunks_exact(FINE_SIDE * FINE_SIDE);
        for (tile, start) in scratch.start.iter().enumerate() {
            nodes[tile] = start[0] as f32;
            nodes[tiles + tile] = start[1] as f32;
        }
        let mut force = std::mem::take(&mut scratch.force);
        for _ in 0..STEPS {
            let mut total = 0.0;
            for (tile, (map, start)) in maps().zip(&scratch.start).enumerate() {
                let (value, sy, sx) = slope(map, *start, nodes[tile], nodes[tiles + tile]);
                total += f64::from(value);
                force[tile] = sy;
                force[tiles + tile] = sx;
            }
            // How bright the frame is beside the reference, all tiles together.
            let bright = total / self.energy;
            // No more alike than unrelated images: nothing to follow.
            if bright.is_nan() || bright < 0.05 {
                nodes.fill(0.0);
                break;
            }
            let gain = (self.gain / bright) as f32;
            for tile in 0..tiles {
                let (dy, dx) = (nodes[tile], nodes[tiles + tile]);
                let [yy, xx, yx] = self.information[tile].map(|v| v as f32);
                force[tile] = gain * force[tile] + yy * dy + yx * dx;
                force[tiles + tile] = gain * force[tiles + tile] + yx * dy + xx * dx;
            }
            Arch::new().dispatch(Multiply {
                matrix: &self.covariance,
                vector: &force,
                out: &mut *nodes,
            });
            for (tile, start) in scratch.start.iter().enumerate() {
                for (part, &centre) in start.iter().enumerate() {
                    // Where the tile's map knows the slope.
                    let reach = FINE as f32 - 1.01;
                    let node = &mut nodes[part * tiles + tile];
                    *node = node.clamp(centre as f32 - reach, centre as f32 + reach);
                }
            }
        }
        scratch.force = force;
    }
}

/// `aligned[p] = filtered[p + whole]`, zero beyond the border.
pub(crate) struct Alignment<'a> {
    out: &'a mut Padded,
    whole: (isize, isize),
}

impl Alignment<'_> {
    /// Row `y` of the filtered frame.
    pub(crate) fn put(&mut self, y: usize, line: &[f32], (height, width): (usize, usize)) {
        let to = y as isize - self.whole.0;
        if to < 0 || to >= height as isize {
            return;
        }
        let row = &mut self.out.row_mut(to as usize)[..width];
        let by = self.whole.1;
        let first = (-by).clamp(0, width as isize) as usize;
        let end = (width as isize - by).clamp(first as isize, width as isize) as usize;
        let from = (first as isize + by).max(0) as usize;
        row[..first].fill(0.0);
        row[first..end].copy_from_slice(&line[from..from + end - first]);
        row[end..].fill(0.0);
    }
}

/// `map[a, b] = Σ image[p] · template[p − first − (a, b)]` over a tile, for
/// `N × N` displacements.
struct Correlate<'a, const N: usize> {
    image: &'a Padded,
    tile: [usize; 4],
    template: &'a Padded,
    /// The displacement of the map's first row and column.
    first: [i32; 2],
    map: &'a mut [f32],
}

/// A row of a tile: whole vectors, and the rest with zeros behind.
#[derive(Clone, Copy)]
struct Near<'a, S: Simd> {
    whole: &'a [S::f32s],
    rest: Option<S::f32s>,
}

/// Adds the products of a row of the template with rows of the image, each
/// displaced by one more, to the sums of each.
#[inline(always)]
fn add_row<S: Simd, const N: usize, const ROWS: usize>(
    simd: S,
    near: [Near<'_, S>; ROWS],
    far: &[f32],
    mut sums: [[S::f32s; N]; ROWS],
) -> [[S::f32s; N]; ROWS] {
    let count = near[0].whole.len();
    let whole = near.map(|row| &row.whole[..count]);
    for k in 0..count {
        sums = add_products(
            simd,
            whole.map(|row| row[k]),
            &far[k * S::F32_LANES..],
            sums,
        );
    }
    if near[0].rest.is_some() {
        let rest = near.map(|row| row.rest.unwrap_or(simd.splat_f32s(0.0)));
        sums = add_products(simd, rest, &far[count * S::F32_LANES..], sums);
    }
    sums
}

#[inline(always)]
fn add_products<S: Simd, const N: usize, const ROWS: usize>(
    simd: S,
    near: [S::f32s; ROWS],
    far: &[f32],
    mut sums: [[S::f32s; N]; ROWS],
) -> [[S::f32s; N]; ROWS] {
    let window = &far[..S::F32_LANES + N - 1];
    for b in 0..N {
        let other = S::as_simd_f32s(&window[N - 1 - b..][..S::F32_LANES]).0[0];
        for row in 0..ROWS {
            sums[row][b] = simd.mul_add_f32s(near[row], other, sums[row][b]);
        }
    }
    sums
}

impl<const N: usize> WithSimd for Correlate<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [y0, y1, x0, x1] = self.tile;
        let (y0, y1) = (y0 as isize, y1 as isize);
        let [dy, dx] = self.first.map(|v| v as isize);
        let near = |y: isize| {
            let row = &self.image.from(y, x0 as isize)[..x1 - x0];
            let (whole, rest) = S::as_simd_f32s(row);
            let rest = (!rest.is_empty()).then(|| simd.partial_load_f32s(rest));
            Near { whole, rest }
        };
        let columns = (x1 - x0).next_multiple_of(S::F32_LANES);
        let start = x0 as isize - dx - (N as isize - 1);
        let far = |y: isize| &self.template.from(y, start)[..columns + N - 1];
        let zero = simd.splat_f32s(0.0);
        // Two rows of the map at a time: what is fetched of the template
        // serves both. A row of the template meets row y of the image for the
        // first and row y + 1 for the second.
        let mut pairs = self.map.chunks_exact_mut(2 * N);
        let mut a = dy;
        for pair in &mut pairs {
            let [second] = add_row(simd, [near(y0)], far(y0 - a - 1), [[zero; N]]);
            let mut sums = [[zero; N], second];
            for y in y0..y1 - 1 {
                sums = add_row(simd, [near(y), near(y + 1)], far(y - a), sums);
            }
            let [first, second] = sums;
            let [first] = add_row(simd, [near(y1 - 1)], far(y1 - 1 - a), [first]);
            for (slot, sum) in pair.iter_mut().zip(first.into_iter().chain(second)) {
                *slot = simd.reduce_sum_f32s(sum);
            }
            a += 2;
        }
        let rest = pairs.into_remainder();
        if rest.is_empty() {
            return;
        }
        let mut sums = [[zero; N]];
        for y in y0..y1 {
            sums = add_row(simd, [near(y)], far(y - a), sums);
        }
        for (slot, sum) in rest.iter_mut().zip(sums.into_iter().flatten()) {
            *slot = simd.reduce_sum_f32s(sum);
        }
    }
}

/// For displacements within [`FINE`] of `start`.
fn correlate_tile(
    image: &Padded,
    tile: [usize; 4],
    template: &Padded,
    start: [i32; 2],
    map: &mut [f32],
) {
    Arch::new().dispatch(Correlate::<FINE_SIDE> {
        image,
        tile,
        template,
        first: start.map(|v| v - FINE as i32),
        map,
    });
}

/// For all coarse displacements, at half resolution.
fn correlate_coarse(image: &Padded, tile: [usize; 4], template: &Padded, map: &mut [f32]) {
    Arch::new().dispatch(Correlate::<COARSE_SIDE> {
        image,
        tile,
        template,
        first: [-(COARSE as i32); 2],
        map,
    });
}

vectorised! {
/// Gaussian average of the maps of neighbouring tiles, along y or along x.
fn blur<'a>(
    maps: &'a [f32],
    out: &'a mut [f32],
    dim: (usize, usize),
    sigma: f32,
    along_y: bool,
) {
    let (rows, columns) = dim;
    let reach = (3.0 * sigma).ceil() as isize;
    for (tile, target) in out.chunks_exact_mut(MAP).enumerate() {
        let (y, x) = ((tile / columns) as isize, (tile % columns) as isize);
        target.fill(0.0);
        for k in -reach..=reach {
            let (y, x) = if along_y { (y + k, x) } else { (y, x + k) };
            if y < 0 || x < 0 || y >= rows as isize || x >= columns as isize {
                continue;
            }
            let weight = (-(k * k) as f32 / (2.0 * sigma * sigma)).exp();
            let from = (y as usize * columns + x as usize) * MAP;
            for (slot, &value) in target.iter_mut().zip(&maps[from..from + MAP]) {
                *slot += weight * value;
            }
        }
    }
}
}

/// The highest place of a coarse map within `limit`, in its pixels, and by how
/// much it stands out.
fn peak(map: &[f32], limit: i32) -> ([f32; 2], f32) {
    let reach = COARSE as i32;
    let limit = limit.min(reach - 1);
    let at = |y: i32, x: i32| map[((y + reach) as usize) * COARSE_SIDE + (x + reach) as usize];
    let (mut best, mut place) = (f32::NEG_INFINITY, [0, 0]);
    for y in -limit..=limit {
        for x in -limit..=limit {
            if at(y, x) > best {
                (best, place) = (at(y, x), [y, x]);
            }
        }
    }
    let mut second = f32::NEG_INFINITY;
    for y in -reach..=reach {
        for x in -reach..=reach {
            if (y - place[0]).abs() > 1 || (x - place[1]).abs() > 1 {
                second = second.max(at(y, x));
            }
        }
    }
    let vertex = |before: f32, after: f32| {
        let bend = 2.0 * best - before - after;
        if bend > 0.0 {
            ((after - before) / (2.0 * bend)).clamp(-0.5, 0.5)
        } else {
            0.0
        }
    };
    let [y, x] = place;
    let fine = [
        y as f32 + vertex(at(y - 1, x), at(y + 1, x)),
        x as f32 + vertex(at(y, x - 1), at(y, x + 1)),
    ];
    let clear = if best <= 0.0 {
        0.0
    } else if second <= 0.0 {
        f32::INFINITY
    } else {
        best / second
    };
    (fine, clear)
}

/// Value and slope along y and x of a tile's map at displacement `(dy, dx)`,
/// by cubic convolution.
fn slope(map: &[f32], start: [i32; 2], dy: f32, dx: f32) -> (f32, f32, f32) {
    let place = |d: f32, centre: i32| {
        let u = d - centre as f32 + FINE as f32;
        let whole = u.floor().clamp(1.0, (FINE_SIDE - 3) as f32);
        (whole as usize - 1, u - whole)
    };
    let ((y, ty), (x, tx)) = (place(dy, start[0]), place(dx, start[1]));
    let (wy, wx) = (keys(ty), keys(tx));
    let (gy, gx) = (keys_slope(ty), keys_slope(tx));
    let (mut value, mut sy, mut sx) = (0.0, 0.0, 0.0);
    for i in 0..4 {
        let row = &map[(y + i) * FINE_SIDE + x..][..4];
        let (mut along, mut change) = (0.0, 0.0);
        for j in 0..4 {
            along += wx[j] * row[j];
            change += gx[j] * row[j];
        }
        value += wy[i] * along;
        sy += gy[i] * along;
        sx += wy[i] * change;
    }
    (value, sy, sx)
}

/// Derivatives of [`keys`].
fn keys_slope(t: f32) -> [f32; 4] {
    [
        (-1.5 * t + 2.0) * t - 0.5,
        (4.5 * t - 5.0) * t,
        (-4.5 * t + 4.0) * t + 0.5,
        (1.5 * t - 1.0) * t,
    ]
}

/// `[yy, xx, yx]` of the negative curvature of an autocorrelation at its middle.
fn curvature(map: &[f32; FINE_SIDE * FINE_SIDE]) -> [f64; 3] {
    let at = |y: usize, x: usize| f64::from(map[(FINE + y - 1) * FINE_SIDE + FINE + x - 1]);
    let yy = (2.0 * at(1, 1) - at(0, 1) - at(2, 1)).max(0.0);
    let xx = (2.0 * at(1, 1) - at(1, 0) - at(1, 2)).max(0.0);
    let yx = (at(0, 2) + at(2, 0) - at(0, 0) - at(2, 2)) / 4.0;
    let most = 0.99 * (yy * xx).sqrt();
    [yy, xx, yx.clamp(-most, most)]
}

/// `out = matrix · vector`, row by row.
struct Multiply<'a> {
    matrix: &'a [f32],
    vector: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (vector, vector_rest) = S::as_simd_f32s(self.vector);
        let rows = self.matrix.chunks_exact(self.vector.len());
        for (row, slot) in rows.zip(self.out) {
            let (row, rest) = S::as_simd_f32s(row);
            let mut sums = [simd.splat_f32s(0.0); 4];
            let parts = row.chunks_exact(4).zip(vector.chunks_exact(4));
            for (a, b) in parts {
                for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                    *sum = simd.mul_add_f32s(a, b, *sum);
                }
            }
            let whole = row.len() / 4 * 4;
            for (&a, &b) in row[whole..].iter().zip(&vector[whole..]) {
                sums[0] = simd.mul_add_f32s(a, b, sums[0]);
            }
            let total = simd.add_f32s(
                simd.add_f32s(sums[0], sums[1]),
                simd.add_f32s(sums[2], sums[3]),
            );
            let rest: f32 = rest.iter().zip(vector_rest).map(|(a, b)| a * b).sum();
            *slot = simd.reduce_sum_f32s(total) + rest;
        }
    }
}
