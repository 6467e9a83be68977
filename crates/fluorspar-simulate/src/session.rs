use std::ops::Range;

use fluorspar_movie::{Movie, MovieShape, PixelType, Sample, check_read};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::Plan;
use crate::random::{Domain, stream};
use crate::scene::{Scene, resample};
use crate::truth::SessionTruth;

/// One session's raw movie: `int16`, one plane, rendered when it is read.
///
/// A frame follows from the plan and its own number alone, so any range in
/// any order, on any number of threads, gives the same bytes. Frames are
/// rendered in parallel on the caller's rayon pool.
#[derive(Clone, Copy, Debug)]
pub struct SessionMovie<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) session: usize,
    pub(crate) scene: &'a Scene,
    pub(crate) truth: &'a SessionTruth,
    /// `(y, x)` of the field.
    pub(crate) vignette: &'a [f32],
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    grid: Vec<f32>,
    line: Vec<f32>,
    frame: Vec<f32>,
}

impl SessionMovie<'_> {
    /// The expected counts of one frame, without noise and rounding, axes
    /// `(y, x)`.
    ///
    /// # Errors
    /// [`fluorspar_movie::Error::Misuse`] if the frame is beyond the movie or
    /// the buffer does not hold one frame.
    pub fn read_expected(
        &self,
        frame: usize,
        into: &mut [f32],
    ) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape(), &(frame..frame + 1), into.len())?;
        let shift = self.truth.motion[frame];
        self.photons(frame, shift, &mut Scratch::default(), into);
        self.count(into);
        Ok(())
    }

    /// The same without motion: what perfect registration of a noise-free
    /// frame would give, but for the vignette, which stays in place.
    ///
    /// # Errors
    /// As [`SessionMovie::read_expected`].
    pub fn read_registered(
        &self,
        frame: usize,
        into: &mut [f32],
    ) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape(), &(frame..frame + 1), into.len())?;
        self.photons(frame, (0.0, 0.0), &mut Scratch::default(), into);
        self.count(into);
        Ok(())
    }

    fn count(&self, photons: &mut [f32]) {
        let gain = self.plan.optics.counts_per_photon as f32;
        let offset = self.plan.optics.offset_counts as f32;
        for value in photons {
            *value = offset + gain * *value;
        }
    }

    /// Detected photons of one frame: `raw[y, x] = scene[y − dy, x − dx]`.
    fn photons(&self, frame: usize, (dy, dx): (f32, f32), scratch: &mut Scratch, out: &mut [f32]) {
        self.scene.render(frame, &self.truth.dff, &mut scratch.grid);
        let margin = self.scene.margin as f32;
        resample(
            &scratch.grid,
            self.scene.width,
            (margin - dy, margin - dx),
            (self.plan.height, self.plan.width),
            &mut scratch.line,
            out,
        );
        let last = self.truth.motion.len().max(2) - 1;
        let bleach = (1.0 - self.plan.optics.bleaching).powf(frame as f64 / last as f64) as f32;
        for (value, &vignette) in out.iter_mut().zip(self.vignette) {
            *value = (*value * vignette * bleach).max(0.0);
        }
    }

    /// One frame with noise, before rounding, in `scratch.frame`.
    ///
    /// Photon counts are Poisson, the detector multiplies them by a gain `g`
    /// and adds Gaussian read noise of standard deviation `r`. The sum for
    /// `λ` expected photons has variance `v = g²λ + r²` and third moment
    /// `g³λ`; `s·z + c·(z² − 1)` with `c = g³λ/6v`, `s² = v − 2c²` and `z`
    /// standard normal has the same variance and, to first order, the same
    /// third moment (Cornish and Fisher 1938).
    fn noisy(&self, frame: usize, scratch: &mut Scratch) {
        let mut photons = std::mem::take(&mut scratch.frame);
        photons.resize(self.plan.height * self.plan.width, 0.0);
        self.photons(frame, self.truth.motion[frame], scratch, &mut photons);
        let optics = &self.plan.optics;
        let gain = optics.counts_per_photon as f32;
        let offset = optics.offset_counts as f32;
        let read = (optics.read_noise_counts * optics.read_noise_counts) as f32;
        let mut rng = stream(self.plan.seed, Domain::Noise, self.session, frame);
        for value in &mut photons {
            let z: f32 = rng.sample(StandardNormal);
            let signal = gain * *value;
            let shot = gain * signal;
            let variance = (shot + read).max(f32::MIN_POSITIVE);
            let skew = gain * shot / (6.0 * variance);
            let spread = (variance - 2.0 * skew * skew).max(0.0).sqrt();
            *value = offset + signal + spread * z + skew * (z * z - 1.0);
        }
        scratch.frame = photons;
    }
}

impl Movie for SessionMovie<'_> {
    fn shape(&self) -> MovieShape {
        MovieShape::new(
            self.truth.motion.len(),
            1,
            self.plan.height,
            self.plan.width,
        )
    }

    fn pixel_type(&self) -> PixelType {
        PixelType::I16
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.plan.frame_rate)
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape(), &frames, into.len())?;
        into.par_chunks_mut(self.shape().frame_len())
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (index, out)| {
                self.noisy(frames.start + index, scratch);
                for (out, &value) in out.iter_mut().zip(&scratch.frame) {
                    *out = i16::from_f32(value).to_f32();
                }
            });
        Ok(())
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let bytes = self.pixel_type().bytes();
        if !into.len().is_multiple_of(bytes) {
            return Err(fluorspar_movie::Error::misuse(format!(
                "a buffer of {} bytes does not hold whole int16 samples",
                into.len()
            )));
        }
        check_read(self.shape(), &frames, into.len() / bytes)?;
        into.par_chunks_mut(self.shape().frame_len() * bytes)
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (index, out)| {
                self.noisy(frames.start + index, scratch);
                for (out, &value) in out.chunks_exact_mut(bytes).zip(&scratch.frame) {
                    out.copy_from_slice(&i16::from_f32(value).to_ne_bytes());
                }
            });
        Ok(())
    }
}
