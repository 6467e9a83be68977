use ndarray::ArrayView2;

use crate::estimate::{self, Estimate};
use crate::oasis::{Scratch, activity, for_each, row};
use crate::{Error, Learned, Oasis};

/// Learns the indicator's kernel from traces that come in blocks, for more of
/// them than fit into memory; made by [`Oasis::learning`].
///
/// Only the most active traces seen so far are kept. How traces are cut into
/// blocks changes nothing.
///
/// ```
/// use fluorspar_deconvolve::{Oasis, Parameters};
/// use ndarray::{Array2, s};
///
/// let oasis = Oasis::new(Parameters { frame_rate: Some(10.0), ..Parameters::default() })?;
/// let traces = Array2::from_shape_fn((5, 600), |(roi, t)| {
///     (-((t * (roi + 3) % 101) as f32) / 8.0).exp() + (t * 7919 % 101) as f32 / 1000.0
/// });
/// let mut learning = oasis.learning();
/// learning.look(traces.slice(s![..2, ..]))?;
/// learning.look(traces.slice(s![2.., ..]))?;
/// assert_eq!(learning.finish()?, oasis.learn(traces.view())?);
/// # Ok::<(), fluorspar_deconvolve::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Learning<'a> {
    oasis: &'a Oasis,
    /// ROIs that were looked at.
    seen: usize,
    /// Activity, index and samples of the most active traces, those first.
    best: Vec<(f64, usize, Vec<f32>)>,
}

impl<'a> Learning<'a> {
    pub(crate) fn new(oasis: &'a Oasis) -> Self {
        Self {
            oasis,
            seen: 0,
            best: Vec::new(),
        }
    }

    /// Looks at the next traces (roi, frame): the first is the one after the
    /// last of the block before.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a kernel that was given and is out of range.
    pub fn look(&mut self, traces: ArrayView2<'_, f32>) -> Result<(), Error> {
        let first = self.seen;
        self.seen += traces.nrows();
        if self.oasis.parameters().given()?.is_some() {
            return Ok(());
        }
        let most = self.oasis.parameters().learning_traces.max(1);
        let ratios = for_each(traces.nrows(), |roi, scratch: &mut Scratch| {
            activity(&row(traces, roi), scratch)
        });
        let mut new: Vec<(f64, usize)> = ratios
            .into_iter()
            .enumerate()
            .filter_map(|(roi, ratio)| ratio.map(|ratio| (ratio, first + roi)))
            .collect();
        let order = |a: (f64, usize), b: (f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        new.sort_by(|a, b| order(*a, *b));
        new.truncate(most);
        self.best.extend(
            new.into_iter()
                .map(|(ratio, roi)| (ratio, roi, row(traces, roi - first))),
        );
        self.best.sort_by(|a, b| order((a.0, a.1), (b.0, b.1)));
        self.best.truncate(most);
        Ok(())
    }

    /// The kernels.
    ///
    /// # Errors
    /// As [`Oasis::learn`].
    pub fn finish(mut self) -> Result<Learned, Error> {
        if let Some(kernel) = self.oasis.parameters().given()? {
            return Ok(Learned {
                kernel,
                traces: Vec::new(),
            });
        }
        let rate = self.oasis.parameters().rate()?;
        self.best.sort_by_key(|&(_, roi, _)| roi);
        let found = for_each(self.best.len(), |i, scratch: &mut Scratch| {
            self.oasis.estimate(&self.best[i].2, scratch)
        });
        let estimates: Vec<Estimate> = found.into_iter().collect::<Result<_, _>>()?;
        let (kernel, own) = estimate::population(&estimates, rate)?;
        let traces = self.best.iter().zip(estimates).zip(own);
        Ok(Learned {
            kernel,
            traces: traces.map(|((&(_, roi, _), e), k)| (roi, e, k)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameters;
    use ndarray::{Array2, Axis, Slice};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn blocks_do_not_matter(cuts in prop::collection::vec(0_usize..9, 1..6), keep in 1_usize..8) {
            let rois: usize = cuts.iter().sum();
            // Some traces alike, one constant, one with too few samples.
            let traces = Array2::from_shape_fn((rois, 200), |(roi, t)| match roi {
                3 => 1.0,
                4 if t > 5 => f32::NAN,
                _ => (-((t * (roi / 2 + 3) % 61) as f32) / 6.0).exp() + (t * 7919 % 101) as f32 / 500.0,
            });
            let parameters = Parameters {
                frame_rate: Some(10.0),
                learning_traces: keep,
                ..Parameters::default()
            };
            let oasis = Oasis::new(parameters).unwrap();
            let mut learning = oasis.learning();
            let mut at = 0;
            for cut in cuts {
                learning.look(traces.slice_axis(Axis(0), Slice::from(at..at + cut))).unwrap();
                at += cut;
            }
            let found = learning.finish().unwrap();
            prop_assert!(found.traces.len() <= keep);
            prop_assert!(found.traces.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert_eq!(found, oasis.learn(traces.view()).unwrap());
        }
    }
}
