//! Mean and noise of pixels, met frame by frame.

use fluorspar_movie::vectorised;

/// Running sums of some pixels.
///
/// Sums within a bin are `f32` around a provisional mean; bins add up in
/// `f64`. A sample that is not finite counts as the provisional mean.
pub(crate) struct Moments {
    /// Provisional mean, subtracted before anything else.
    shift: Vec<f32>,
    total: Vec<f64>,
    squares: Vec<f64>,
    finite: Vec<u32>,
    steps: Vec<u32>,
    frames: u32,
    /// May samples be missing?
    gaps: bool,
    now: Now,
}

/// What changes with every frame.
struct Now {
    /// Squared second differences within the bin.
    squares: Vec<f32>,
    last: Vec<f32>,
    before: Vec<f32>,
    /// Finite samples in a row, at most 3 (only where samples may be missing).
    run: Vec<f32>,
    finite: Vec<f32>,
    steps: Vec<f32>,
}

impl Moments {
    /// Bytes of a pixel, at most.
    pub(crate) const BYTES: usize = 2 * size_of::<f64>() + 9 * size_of::<f32>();

    /// Nothing met yet. `gaps`: samples may be missing (not finite).
    pub(crate) fn new(shift: Vec<f32>, gaps: bool) -> Self {
        let n = shift.len();
        let zeros = || vec![0.0; n];
        let counts = || if gaps { vec![0.0; n] } else { Vec::new() };
        Self {
            shift,
            total: vec![0.0; n],
            squares: vec![0.0; n],
            finite: vec![0; if gaps { n } else { 0 }],
            steps: vec![0; if gaps { n } else { 0 }],
            frames: 0,
            gaps,
            now: Now {
                squares: zeros(),
                last: zeros(),
                before: zeros(),
                run: counts(),
                finite: counts(),
                steps: counts(),
            },
        }
    }

    /// Takes the next frame's pixels from `first` on, and adds their deviations from the
    /// provisional mean to `bin`, which is as long as all pixels.
    pub(crate) fn add(&mut self, first: usize, values: &[f32], bin: &mut [f32]) {
        let at = first..first + values.len();
        let now = &mut self.now;
        if self.gaps {
            add_with_gaps(
                values,
                &self.shift[at.clone()],
                [
                    &mut bin[at.clone()],
                    &mut now.squares[at.clone()],
                    &mut now.last[at.clone()],
                    &mut now.before[at.clone()],
                    &mut now.run[at.clone()],
                    &mut now.finite[at.clone()],
                    &mut now.steps[at],
                ],
            );
        } else if self.frames < 2 {
            // Second differences begin with the third frame.
            for (k, i) in at.enumerate() {
                let deviation = values[k] - self.shift[i];
                bin[i] += deviation;
                now.before[i] = now.last[i];
                now.last[i] = deviation;
            }
        } else {
            add_complete(
                values,
                &self.shift[at.clone()],
                &mut bin[at.clone()],
                &mut now.squares[at.clone()],
                &mut now.last[at.clone()],
                &mut now.before[at],
            );
        }
    }

    /// A frame is complete.
    pub(crate) fn next_frame(&mut self) {
        self.frames += 1;
    }

    /// The next frame does not follow the last one in time.
    pub(crate) fn interrupt(&mut self) {
        if self.gaps {
            self.now.run.fill(0.0);
        }
    }

    /// A bin is complete: `bin` holds its deviations.
    pub(crate) fn close(&mut self, bin: &[f32]) {
        for (total, &deviations) in self.total.iter_mut().zip(bin) {
            *total += f64::from(deviations);
        }
        for (total, partial) in self.squares.iter_mut().zip(&mut self.now.squares) {
            *total += f64::from(std::mem::take(partial));
        }
        let counts = self.finite.iter_mut().zip(&mut self.now.finite);
        for (total, partial) in counts.chain(self.steps.iter_mut().zip(&mut self.now.steps)) {
            *total += std::mem::take(partial) as u32;
        }
    }

    /// Mean of a pixel over its finite samples; the provisional one if there are none.
    pub(crate) fn mean(&self, pixel: usize) -> f32 {
        let n = if self.gaps {
            self.finite[pixel]
        } else {
            self.frames
        };
        (f64::from(self.shift[pixel]) + self.total[pixel] / f64::from(n.max(1))) as f32
    }

    /// Standard deviation of a pixel's noise, from second differences in time:
    /// `E (x(t−1) − 2 x(t) + x(t+1))² = 6 σ²` where the signal is slow. Zero
    /// for a pixel of which more than half is missing.
    pub(crate) fn noise(&self, pixel: usize) -> f32 {
        let n = if self.gaps {
            if 2 * self.finite[pixel] < self.frames {
                return 0.0;
            }
            self.steps[pixel]
        } else {
            self.frames.saturating_sub(2)
        };
        (self.squares[pixel] / (6.0 * f64::from(n.max(1)))).sqrt() as f32
    }
}

vectorised! {
    fn add_complete<'a>(
        values: &'a [f32],
        shift: &'a [f32],
        bin: &'a mut [f32],
        squares: &'a mut [f32],
        last: &'a mut [f32],
        before: &'a mut [f32],
    ) {
        let n = values.len();
        let (shift, bin, squares) = (&shift[..n], &mut bin[..n], &mut squares[..n]);
        let (last, before) = (&mut last[..n], &mut before[..n]);
        for i in 0..n {
            let deviation = values[i] - shift[i];
            bin[i] += deviation;
            let second = deviation - 2.0 * last[i] + before[i];
            squares[i] += second * second;
            before[i] = last[i];
            last[i] = deviation;
        }
    }

    /// `state`: bin, squares, last, before, run, finite, steps.
    fn add_with_gaps<'a>(values: &'a [f32], shift: &'a [f32], state: [&'a mut [f32]; 7]) {
        let n = values.len();
        let shift = &shift[..n];
        let [bin, squares, last, before, run, finite, steps] = state.map(|part| &mut part[..n]);
        for i in 0..n {
            let present = values[i].is_finite();
            let deviation = if present { values[i] - shift[i] } else { 0.0 };
            bin[i] += deviation;
            let second = deviation - 2.0 * last[i] + before[i];
            run[i] = if present { (run[i] + 1.0).min(3.0) } else { 0.0 };
            let whole = if run[i] > 2.5 { 1.0 } else { 0.0 };
            squares[i] += whole * second * second;
            steps[i] += whole;
            finite[i] += if present { 1.0 } else { 0.0 };
            before[i] = last[i];
            last[i] = deviation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    fn met(gaps: bool, missing: impl Fn(usize) -> bool) -> Moments {
        let mut moments = Moments::new(vec![90.0; 40], gaps);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let normal = Normal::new(100.0_f32, 7.0).unwrap();
        let mut bin = vec![0.0; 40];
        for t in 0..2000 {
            let mut frame: Vec<f32> = (0..40).map(|_| normal.sample(&mut rng)).collect();
            for v in &mut frame {
                *v += t as f32 * 0.05;
            }
            if missing(t) {
                frame[3] = f32::NAN;
            }
            moments.add(0, &frame[..16], &mut bin);
            moments.add(16, &frame[16..], &mut bin);
            moments.next_frame();
            if t % 10 == 9 {
                moments.close(&bin);
                bin.fill(0.0);
            }
        }
        moments
    }

    #[test]
    fn mean_and_noise_of_white_noise_on_a_drift() {
        for gaps in [false, true] {
            let moments = met(gaps, |_| false);
            for pixel in 0..40 {
                assert!((moments.mean(pixel) - 150.0).abs() < 0.7);
                assert!((moments.noise(pixel) / 7.0 - 1.0).abs() < 0.1);
            }
        }
    }

    #[test]
    fn missing_samples_are_left_out() {
        let moments = met(true, |t| t % 5 == 1);
        assert!((moments.mean(3) - 150.0).abs() < 1.5);
        assert!((moments.noise(3) / 7.0 - 1.0).abs() < 0.2);
        assert_eq!(met(true, |t| t % 5 < 3).noise(3), 0.0);
    }
}
