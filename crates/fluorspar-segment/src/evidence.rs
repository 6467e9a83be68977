//! How much each ROI looks and behaves like a cell.

use crate::stats::{Rest, correlation, skewness};
use crate::{Class, Parameters};

/// What speaks for and against one ROI being a cell. Nothing is deleted for
/// it: every ROI is reported with its numbers, and whoever uses the ROIs
/// draws the line; [`Evidence::is_cell`] draws it at a probability of ½.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// How far its transients rise above its noise: the third largest bin
    /// over the resting level, in standard deviations of the noise (of the
    /// lower half of the trace, but neither more than the raw movie's noise
    /// in the footprint nor less than a tenth of it).
    pub snr: f32,
    /// Pixels of the footprint over those of a disc of the expected diameter.
    pub relative_area: f32,
    /// Area of the ellipse with the footprint's second moments over the
    /// footprint's: 1 for any ellipse, more for what is frayed or bent.
    pub spread: f32,
    /// How many times longer than wide that ellipse is.
    pub elongation: f32,
    /// How sharp its edge is: 0 if weights fall off as those of a Gaussian
    /// (light from out of focus), 1 if they are equal up to the edge, more
    /// for a ring. From the weighted over the unweighted mean squared radius.
    pub focus: f32,
    /// Correlation between the footprints that the two halves of the
    /// recording give on their own; 0 if one half has no transients.
    pub stability: f32,
    /// Skewness of the changes from bin to bin: positive if the trace rises
    /// faster than it falls, as calcium does; 0 for motion and neuropil.
    pub asymmetry: f32,
    /// Skewness of the trace: positive if it rises from a resting level.
    pub skewness: f32,
    /// Largest product of shared area (of the smaller one) and correlation of
    /// activity with any other ROI, 0 to 1: near 1 one of the two is a copy.
    pub duplicate: f32,
    /// Whether the footprint was given and not found; then it is not for the
    /// numbers above to say whether it is a cell.
    pub given: bool,
    /// Probability of being a cell in focus, from the numbers above but
    /// `duplicate`, by a logistic model; see [`Evidence::WEIGHTS`].
    pub probability: f32,
}

/// A footprint as [`Evidence`] looks at it.
pub(crate) struct Shape<'a> {
    pub(crate) pixels: &'a [u32],
    pub(crate) width: usize,
    /// In the movie's units.
    pub(crate) weights: &'a [f32],
}

impl Evidence {
    /// The logistic model's weights, of [`Evidence::features`] in order, the
    /// constant last. Fitted to ROIs found in simulated movies in which it is
    /// known who is in focus (docs/segmentation.md says how to repeat it).
    pub const WEIGHTS: [f64; 11] = [
        -1.84, -0.69, -40.79, -0.16, -8.3, 0.03, -2.05, 0.36, 0.69, 8.68, 4.07,
    ];

    /// What the logistic model sees: ln relative area and its square, ln
    /// spread, ln elongation, focus, stability, ln SNR, asymmetry, skewness, and focus times
    /// ln SNR, because an edge is the clearer the less noise there is. Each is
    /// kept within limits so that no single number decides.
    pub fn features(&self) -> [f64; 10] {
        let log = |v: f32, least: f32| f64::from(v.max(least)).ln();
        let area = log(self.relative_area, 1e-3).clamp(-2.0, 2.0);
        let focus = f64::from(self.focus).clamp(-0.5, 1.5);
        let snr = log(self.snr.min(10.0), 0.1);
        [
            area,
            area * area,
            log(self.spread, 1.0).min(0.5),
            log(self.elongation, 1.0).min(1.5),
            focus,
            f64::from(self.stability).clamp(-1.0, 1.0),
            snr,
            f64::from(self.asymmetry).clamp(-1.0, 2.0),
            f64::from(self.skewness).clamp(-1.0, 2.0),
            focus * snr,
        ]
    }

    /// Whether to count it as a cell: given, or more likely one than not.
    pub fn is_cell(&self) -> bool {
        self.given || self.probability >= 0.5
    }

    /// Of a given footprint in a movie without activity.
    pub(crate) fn of_given() -> Self {
        Self {
            given: true,
            ..Self::default()
        }
    }

    /// Fills in [`Evidence::probability`].
    ///
    /// The shape of a piece of a process says nothing: it counts as that of a
    /// disc with half an edge.
    pub(crate) fn judged(mut self, class: Class) -> Self {
        let (constant, weights) = (Self::WEIGHTS[10], &Self::WEIGHTS[..10]);
        let seen = match class {
            Class::Soma => self,
            Class::Process => Self {
                relative_area: 1.0,
                spread: 1.0,
                elongation: 1.0,
                focus: 0.5,
                ..self
            },
        };
        let sum: f64 = seen
            .features()
            .iter()
            .zip(weights)
            .map(|(f, w)| f * w)
            .sum();
        self.probability = (1.0 / (1.0 + (-(sum + constant)).exp())) as f32;
        self
    }

    /// What a footprint's shape and trace say.
    pub(crate) fn of(shape: &Shape<'_>, trace: &[f32], snr: f32, parameters: &Parameters) -> Self {
        let changes: Vec<f32> = trace.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let radii = shape.radii(parameters.support);
        let relative_area = (shape.pixels.len() as f64 / parameters.disc()) as f32;
        Self {
            snr,
            relative_area,
            spread: radii.spread,
            elongation: radii.elongation,
            focus: radii.focus,
            asymmetry: skewness(&changes) as f32,
            skewness: skewness(trace) as f32,
            ..Self::default()
        }
    }
}

/// See the fields of [`Evidence`] of the same names.
struct Radii {
    spread: f32,
    elongation: f32,
    focus: f32,
}

impl Shape<'_> {
    fn radii(&self, support: f64) -> Radii {
        let [yy, yx, xx] = self.moments(|_| 1.0);
        let [weighted_yy, _, weighted_xx] = self.moments(|k| f64::from(self.weights[k]));
        let (plain, weighted) = (yy + xx, weighted_yy + weighted_xx);
        let (half, determinant) = (plain / 2.0, yy * xx - yx * yx);
        let apart = (half * half - determinant).max(0.0).sqrt();
        // An ellipse with variances a and b along its axes covers 4π √(ab).
        let covered = 2.0 * std::f64::consts::TAU * determinant.max(0.0).sqrt();
        let gaussian = gaussian_ratio(support);
        Radii {
            spread: (covered / self.pixels.len() as f64) as f32,
            elongation: ((half + apart) / (half - apart)).sqrt() as f32,
            focus: ((weighted / plain - gaussian) / (1.0 - gaussian)) as f32,
        }
    }

    /// Second moments along y, across, and along x, about the weighted centre.
    fn moments(&self, weight: impl Fn(usize) -> f64) -> [f64; 3] {
        let place = |pixel: u32| {
            let width = self.width as u32;
            (f64::from(pixel / width), f64::from(pixel % width))
        };
        let (mut y, mut x, mut total) = (0.0, 0.0, 0.0);
        for (k, &pixel) in self.pixels.iter().enumerate() {
            let (v, u) = place(pixel);
            y += weight(k) * v;
            x += weight(k) * u;
            total += weight(k);
        }
        let (y, x) = (y / total, x / total);
        let mut sums = [0.0; 3];
        for (k, &pixel) in self.pixels.iter().enumerate() {
            let (v, u) = place(pixel);
            let (v, u) = (v - y, u - x);
            sums[0] += weight(k) * v * v;
            sums[1] += weight(k) * v * u;
            sums[2] += weight(k) * u * u;
        }
        // A pixel is a square, with a variance of a twelfth along each side.
        [
            sums[0] / total + 1.0 / 12.0,
            sums[1] / total,
            sums[2] / total + 1.0 / 12.0,
        ]
    }
}

/// Weighted over unweighted mean squared radius of a Gaussian cut off where
/// it falls to `share` of its peak: with `L = −ln share` and areas as
/// variable, `2 (1 − (1 + L) e^−L) / (L (1 − e^−L))`.
fn gaussian_ratio(share: f64) -> f64 {
    let l = -share.ln();
    2.0 * (1.0 - (1.0 + l) * share) / (l * (1.0 - share))
}

/// Correlation of two images, 0 if one is empty.
pub(crate) fn stability(first: Option<&[f32]>, second: Option<&[f32]>) -> f32 {
    match (first, second) {
        (Some(a), Some(b)) => correlation(a, b) as f32,
        _ => 0.0,
    }
}

/// See [`Evidence::snr`]; `energy` is the footprint's sum of squares in units
/// of the pixels' noise.
pub(crate) fn snr(trace: &[f32], energy: f32, frames_per_bin: usize) -> f32 {
    let mut scratch = Vec::new();
    let rest = Rest::of(trace, &mut scratch);
    let Some(rank) = trace.len().checked_sub(3) else {
        return 0.0;
    };
    scratch.clear();
    scratch.extend_from_slice(trace);
    let (_, &mut peak, _) = scratch.select_nth_unstable_by(rank, f32::total_cmp);
    let raw = 1.0 / (energy * frames_per_bin as f32).sqrt();
    // A cell that is never at rest has no quiet half: its lower half must not
    // count as noise.
    let noise = rest.noise.clamp(0.1 * raw, raw);
    let snr = (peak - rest.level) / noise;
    if snr.is_finite() { snr } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footprint of the given profile, cut off at the default share.
    fn drawn(profile: impl Fn(f64) -> f64) -> Evidence {
        let parameters = Parameters::default();
        let peak = (0..400)
            .map(|r| profile(f64::from(r) / 10.0))
            .fold(0.0, f64::max);
        let (mut pixels, mut weights) = (Vec::new(), Vec::new());
        for pixel in 0..101_u32 * 101 {
            let r = (f64::from(pixel / 101) - 50.0).hypot(f64::from(pixel % 101) - 50.0);
            if profile(r) >= parameters.support * peak {
                pixels.push(pixel);
                weights.push(profile(r) as f32);
            }
        }
        let shape = Shape {
            pixels: &pixels,
            width: 101,
            weights: &weights,
        };
        Evidence::of(&shape, &[0.0; 10], 1.0, &parameters)
    }

    #[test]
    fn a_gaussian_has_no_focus_and_a_disc_has_full() {
        for sigma in [4.0, 8.0, 15.0] {
            let blob = drawn(|r| (-0.5 * (r / sigma).powi(2)).exp());
            assert!(blob.focus.abs() < 0.05, "{sigma}: {}", blob.focus);
            assert!((blob.spread - 1.0).abs() < 0.02);
        }
        let disc = drawn(|r| f64::from(u8::from(r < 9.0)));
        assert!((disc.focus - 1.0).abs() < 1e-3 && (disc.spread - 1.0).abs() < 0.02);
        let ring = drawn(|r| if r < 9.0 { 0.6 + 0.4 * (r / 9.0) } else { 0.0 });
        assert!(ring.focus > 1.1);
    }

    #[test]
    fn an_ellipse_is_long_and_not_frayed() {
        let parameters = Parameters::default();
        let of = |inside: &dyn Fn(f64, f64) -> bool| {
            let pixels: Vec<u32> = (0..101_u32 * 101)
                .filter(|p| inside(f64::from(p / 101) - 50.0, f64::from(p % 101) - 50.0))
                .collect();
            let shape = Shape {
                pixels: &pixels,
                width: 101,
                weights: &vec![1.0; pixels.len()],
            };
            Evidence::of(&shape, &[0.0; 10], 1.0, &parameters)
        };
        let ellipse = of(&|y, x| ((y + x) / 22.0).hypot((y - x) / 11.0) < 1.0);
        assert!((ellipse.spread - 1.0).abs() < 0.02, "{}", ellipse.spread);
        assert!(
            (ellipse.elongation - 2.0).abs() < 0.1,
            "{}",
            ellipse.elongation
        );
        // A square covers 3 / π of its ellipse, half a ring far less.
        let square = of(&|y, x| y.abs() < 10.0 && x.abs() < 10.0);
        assert!((square.spread - 1.047).abs() < 0.01 && square.elongation < 1.01);
        let bow = of(&|y, x| (8.0..11.0).contains(&y.hypot(x)) && y > 0.0);
        assert!(bow.spread > 1.5, "{}", bow.spread);
    }

    #[test]
    fn calcium_rises_faster_than_it_falls() {
        let up: Vec<f32> = (0..300).map(|t| (-((t % 50) as f32) / 8.0).exp()).collect();
        let down: Vec<f32> = up.iter().rev().copied().collect();
        let pixels: Vec<u32> = (0..9).collect();
        let shape = Shape {
            pixels: &pixels,
            width: 3,
            weights: &[1.0; 9],
        };
        let of = |trace: &[f32]| Evidence::of(&shape, trace, 1.0, &Parameters::default());
        assert!(of(&up).asymmetry > 2.0);
        assert!((of(&up).asymmetry + of(&down).asymmetry).abs() < 1e-3);
        assert!(of(&up).skewness > 0.5 && of(&[1.0; 9]).skewness == 0.0);
    }

    #[test]
    fn a_trace_without_length_has_no_snr() {
        assert_eq!(snr(&[], 1.0, 1), 0.0);
        assert_eq!(snr(&[f32::NAN; 20], 1.0, 1), 0.0);
        assert_eq!(snr(&[1.0; 20], 0.0, 1), 0.0);
    }
}
