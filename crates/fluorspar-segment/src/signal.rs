//! What two traces have in common, and what of each is signal.

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::Error;
use crate::stats::Rest;

/// Samples whose products are summed in single precision.
const CHUNK: usize = 256;

/// What [`merge_planes_by`](crate::merge_planes_by) needs to know of one
/// trace by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signal {
    /// Mean, in the trace's units.
    pub mean: f32,
    /// Variance; 0 if the trace cannot be compared.
    pub variance: f64,
    /// What of the variance is signal and not white noise.
    pub signal: f64,
    /// Autocorrelation of successive samples, 0 to 0.99.
    pub memory: f64,
}

impl Signal {
    /// Of a whole trace. One that is constant or not finite has no variance.
    pub fn of(trace: &[f32]) -> Self {
        let length = trace.len().max(1) as f64;
        let mean = trace.iter().map(|&v| f64::from(v)).sum::<f64>() / length;
        let single = mean as f32;
        let variance = covariance(trace, single, trace, single);
        let mut found = Self {
            mean: single,
            ..Self::default()
        };
        // Rounding of a constant trace is not activity.
        let rounding = (f64::from(f32::EPSILON) * mean).powi(2);
        if variance.is_finite() && variance > rounding {
            let (before, after) = (&trace[..trace.len() - 1], &trace[1..]);
            let lagged = covariance(before, single, after, single);
            // The distance of the median from the 16th percentile is one
            // standard deviation; differences have twice the noise's variance.
            let steps: Vec<f32> = before.iter().zip(after).map(|(a, b)| b - a).collect();
            let noise = f64::from(Rest::of(&steps, &mut Vec::new()).noise).powi(2) / 2.0;
            found.memory = (lagged / variance).clamp(0.0, 0.99);
            // A variance from two quantiles of differences has a relative
            // standard error of about 3 / √length.
            let least = (9.0 / length.sqrt()).min(1.0);
            found.signal = (variance - noise).max(least * variance);
            found.variance = variance;
        }
        found
    }

    pub(crate) fn brightness(&self) -> f64 {
        self.signal.sqrt()
    }

    /// Correlation of the signals of two traces of `samples` samples and this
    /// covariance, at most 1; nothing if that of the traces could be chance.
    pub(crate) fn alike(
        &self,
        other: &Self,
        covariance: f64,
        samples: usize,
        significance: f64,
    ) -> Option<f64> {
        if self.variance == 0.0 || other.variance == 0.0 {
            return None;
        }
        let measured = covariance / (self.variance * other.variance).sqrt();
        let memory = self.memory * other.memory;
        let samples = samples as f64 * (1.0 - memory) / (1.0 + memory);
        // Even a perfect correlation of a few samples may be chance.
        let errors = measured.clamp(-0.999, 0.999).atanh() * (samples - 3.0).max(0.0).sqrt();
        (errors >= significance)
            .then(|| (covariance / (self.signal * other.signal).sqrt()).min(1.0))
    }
}

/// Covariances of pairs of traces that do not fit into memory: added up over
/// blocks of frames, all ROIs in each. Blocks whose length is a multiple of
/// 256 give the same bits as one block of all frames.
#[derive(Clone, Debug)]
pub struct PairSums<'a> {
    pairs: &'a [(usize, usize)],
    signals: &'a [Signal],
    sums: Vec<f64>,
    samples: usize,
}

impl<'a> PairSums<'a> {
    /// Of these pairs of ROIs, whose means `signals` holds.
    pub fn new(pairs: &'a [(usize, usize)], signals: &'a [Signal]) -> Self {
        Self {
            pairs,
            signals,
            sums: vec![0.0; pairs.len()],
            samples: 0,
        }
    }

    /// Adds the next frames, axes `(roi, frame)`.
    ///
    /// # Errors
    /// [`Error::Movie`] if there are not as many traces as signals, or a pair
    /// names another.
    pub fn add(&mut self, traces: ArrayView2<'_, f32>) -> Result<(), Error> {
        let rois = self.signals.len();
        let known = |&(a, b): &(usize, usize)| a < rois && b < rois;
        if traces.nrows() != rois || !self.pairs.iter().all(known) {
            let message = format!("{} traces for {rois} signals", traces.nrows());
            return Err(Error::Movie(fluorspar_movie::Error::misuse(message)));
        }
        let traces = traces.as_standard_layout();
        let signals = self.signals;
        self.sums
            .par_iter_mut()
            .zip(self.pairs)
            .for_each(|(sum, &(a, b))| {
                let (first, second) = (traces.row(a), traces.row(b));
                let (Some(first), Some(second)) = (first.as_slice(), second.as_slice()) else {
                    return;
                };
                add_products(sum, first, signals[a].mean, second, signals[b].mean);
            });
        self.samples += traces.ncols();
        Ok(())
    }

    /// The covariances, in the order of the pairs.
    pub fn finish(self) -> Vec<f64> {
        let samples = self.samples.max(1) as f64;
        self.sums.into_iter().map(|sum| sum / samples).collect()
    }
}

/// Mean product of what two traces of one length have beyond their means.
fn covariance(a: &[f32], mean_a: f32, b: &[f32], mean_b: f32) -> f64 {
    let mut sum = 0.0;
    add_products(&mut sum, a, mean_a, b, mean_b);
    sum / a.len().max(1) as f64
}

fn add_products(sum: &mut f64, a: &[f32], mean_a: f32, b: &[f32], mean_b: f32) {
    for (a, b) in a.chunks(CHUNK).zip(b.chunks(CHUNK)) {
        *sum += f64::from(products(a, mean_a, b, mean_b));
    }
}

fluorspar_movie::vectorised! {
    fn products<'a>(a: &'a [f32], mean_a: f32, b: &'a [f32], mean_b: f32) -> f32 {
        let mut sums = [0.0_f32; 16];
        let (head_a, tail_a) = a.as_chunks::<16>();
        let (head_b, tail_b) = b.as_chunks::<16>();
        for (a, b) in head_a.iter().zip(head_b) {
            for k in 0..16 {
                sums[k] += (a[k] - mean_a) * (b[k] - mean_b);
            }
        }
        let mut sum = 0.0;
        for k in 0..16 {
            sum += sums[k];
        }
        for (a, b) in tail_a.iter().zip(tail_b) {
            sum += (a - mean_a) * (b - mean_b);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis};

    #[test]
    fn blocks_of_frames_add_up_to_the_whole() {
        let traces = Array2::from_shape_fn((3, 1000), |(roi, t)| {
            ((t * 7919 % 1013) as f32 / 1013.0) * (roi + 1) as f32 + (t % (roi + 2)) as f32
        });
        let signals: Vec<Signal> = (0..3)
            .map(|roi| Signal::of(&traces.row(roi).to_vec()))
            .collect();
        let pairs = [(0, 1), (2, 1), (1, 1)];
        let mut whole = PairSums::new(&pairs, &signals);
        whole.add(traces.view()).unwrap();
        let mut parts = PairSums::new(&pairs, &signals);
        let (first, rest) = traces.view().split_at(Axis(1), 512);
        parts.add(first).unwrap();
        parts.add(rest).unwrap();
        let whole = whole.finish();
        assert_eq!(whole, parts.finish());
        // By the textbook, in double precision.
        for (&(a, b), found) in pairs.iter().zip(&whole) {
            let of = |roi: usize| traces.row(roi).mapv(f64::from);
            let (a, b) = (of(a), of(b));
            let (mean_a, mean_b) = (a.sum() / 1000.0, b.sum() / 1000.0);
            let expected = ((a - mean_a) * (b - mean_b)).sum() / 1000.0;
            assert!(
                (found - expected).abs() < 1e-4 * expected.abs().max(0.1),
                "{found} {expected}"
            );
        }
        assert_eq!(whole[2], signals[1].variance);
        assert!(
            PairSums::new(&[(0, 3)], &signals)
                .add(traces.view())
                .is_err()
        );
        assert_eq!(Signal::of(&[2.0; 9]).variance, 0.0);
        assert_eq!(Signal::of(&[]).variance, 0.0);
        assert_eq!(Signal::of(&[1.0, f32::NAN, 2.0]).variance, 0.0);
    }
}
