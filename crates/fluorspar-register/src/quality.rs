use fluorspar_movie::{Movie, MovieExt};
use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::{
    Error, LineJitter, Parameters, PrincipalMotion, Reference, Registrar, Registration, line_jitter,
};

/// Registered frames that are looked at again.
const CHECKED: usize = 200;
/// Frames whose lines are looked at, at least and at most, and bytes of them.
const FEWEST_LINES: usize = 8;
const JITTER: usize = 48;
const JITTER_BYTES: usize = 64 << 20;
/// Ends of a principal component further apart, pixels, are motion: of
/// standard deviation a third of it.
const LEFT: f32 = 0.5;

/// How well a movie was registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Median height of the correlation peak over frames, 0 to 1.
    pub median_correlation: f32,
    /// Share of frames that are untrusted.
    pub untrusted_share: f64,
    /// Largest trusted shift along either axis, pixels.
    pub largest_shift: f32,
    /// Median distance between the shifts of frames that follow each other, pixels.
    pub median_step: f32,
    /// Displacement that is left, pixels: registered frames, evenly spread,
    /// registered again to the mean of them all; median over frames.
    pub residual_median: f32,
    /// 95th percentile of the same.
    pub residual_p95: f32,
    /// Norm of the gradient of the mean image (crispness; Pnevmatikakis and
    /// Giovannucci 2017, J. Neurosci. Methods 291:83): for comparing
    /// registrations of the same movie, higher is sharper.
    pub crispness: f64,
    /// Displacement between frames at both ends of the movie's principal
    /// components; `None` for fewer than 40 trusted frames.
    pub principal: Option<PrincipalMotion>,
    /// Standard deviation of the displacement of single lines along x beside
    /// their neighbours, pixels, as of a resonant scanner; 0 if it cannot be
    /// told from none, `None` for fewer than 8 trusted frames. See
    /// [`line_jitter`].
    pub line_jitter: Option<f32>,
    /// Standard deviation of the error with which a single line's place is
    /// seen, pixels: the less, the smaller a jitter is noticed.
    pub line_noise: Option<f32>,
}

impl Quality {
    /// Looks at a movie that [`register`](crate::register) has written.
    ///
    /// # Errors
    /// [`Error::Image`] if the movie's size is not the motion's,
    /// [`Error::Movie`] if it cannot be read.
    pub fn assess(
        registered: &dyn Movie,
        registration: &Registration,
        parameters: &Parameters,
    ) -> Result<Self, Error> {
        let motion = &registration.motion;
        let trusted: Vec<usize> = (0..motion.dy.len())
            .filter(|&k| !motion.untrusted[k])
            .collect();
        let mean = Reference::from_image(registration.images.mean.clone());
        let rigid = Parameters {
            mode: crate::Mode::Rigid,
            ..parameters.clone()
        };
        let registrar = Registrar::new(&mean, &rigid)?;
        let step = trusted.len().div_ceil(CHECKED).max(1);
        let checked: Vec<usize> = trusted.iter().copied().step_by(step).collect();
        let left: Result<Vec<f32>, Error> = checked
            .par_iter()
            .map_init(
                || registrar.scratch(),
                |scratch, &k| {
                    let frame = registered.read_array(k..k + 1)?;
                    let shift = registrar.estimate(frame.index_axis(Axis(0), 0), scratch);
                    Ok(shift.dy.hypot(shift.dx))
                },
            )
            .collect();
        let mut left = left?;
        let mut steps: Vec<f32> = trusted
            .windows(2)
            .filter(|pair| pair[1] == pair[0] + 1)
            .map(|pair| {
                let change = |v: &[f32]| v[pair[1]] - v[pair[0]];
                change(&motion.dy).hypot(change(&motion.dx))
            })
            .collect();
        let jitter = jitter(registered, &checked, registration)?;
        let mut correlation = motion.quality.clone();
        let shifts = trusted
            .iter()
            .map(|&k| motion.dy[k].abs().max(motion.dx[k].abs()));
        let frames = motion.dy.len().max(1) as f64;
        Ok(Self {
            median_correlation: percentile(&mut correlation, 0.5),
            untrusted_share: (motion.dy.len() - trusted.len()) as f64 / frames,
            largest_shift: shifts.fold(0.0, f32::max),
            median_step: percentile(&mut steps, 0.5),
            residual_median: percentile(&mut left, 0.5),
            residual_p95: percentile(&mut left, 0.95),
            crispness: crispness(registration.images.mean.view()),
            principal: PrincipalMotion::assess(registered, &trusted, parameters)?,
            line_jitter: jitter.as_ref().map(|found| {
                if found.distinguishable {
                    found.deviation
                } else {
                    0.0
                }
            }),
            line_noise: jitter.map(|found| found.noise),
        })
    }

    /// Motion left in a principal component, pixels, if there is more of it
    /// than noise makes and than good registration leaves.
    fn left_in_components(&self) -> Option<f32> {
        let principal = self.principal.as_ref()?;
        let found = principal.largest();
        (found > LEFT && found > 3.0 * principal.by_chance.distance()).then_some(found)
    }

    /// One sentence that says whether the recording is usable, and why not.
    pub fn verdict(&self) -> String {
        let share = 100.0 * self.untrusted_share;
        let left = self.residual_median;
        if self.untrusted_share > 0.2 {
            format!(
                "Not usable as it is: {share:.0} % of the frames do not match the reference; \
                 look for dark stretches, a lost focus or a jump out of the field of view."
            )
        } else if left > 1.0 {
            format!(
                "Doubtful: frames are still displaced by {left:.1} px after registration; \
                 the movie may be too dim, or move more than the largest shift allows."
            )
        } else if self.untrusted_share > 0.02 {
            format!(
                "Usable with care: {share:.1} % of the frames do not match the reference and are \
                 marked; the others are displaced by {left:.2} px at most half of the time."
            )
        } else if let Some(found) = self.left_in_components() {
            format!(
                "Usable with care: frames lie {left:.2} px (median) from their mean, but those at \
                 the ends of a principal component are {found:.1} px apart, so that motion is left \
                 which could pass for activity."
            )
        } else {
            format!(
                "Usable: frames match the reference, {left:.2} px (median) are left between them \
                 and their mean, {share:.1} % of them are marked as untrusted."
            )
        }
    }
}

/// The jitter of lines in some of the frames `checked`, if they are enough.
fn jitter(
    registered: &dyn Movie,
    checked: &[usize],
    registration: &Registration,
) -> Result<Option<LineJitter>, Error> {
    let shape = registered.shape();
    let most = (JITTER_BYTES / (4 * shape.frame_len()).max(1)).clamp(FEWEST_LINES, JITTER);
    let step = checked.len().div_ceil(most).max(1);
    let chosen: Vec<usize> = checked.iter().copied().step_by(step).collect();
    if chosen.len() < FEWEST_LINES {
        return Ok(None);
    }
    let length = shape.frame_len();
    let mut frames = vec![0.0; chosen.len() * length];
    frames
        .par_chunks_exact_mut(length)
        .zip(&chosen)
        .map(|(frame, &k)| registered.read(k..k + 1, frame))
        .collect::<Result<Vec<()>, fluorspar_movie::Error>>()?;
    let size = (chosen.len(), shape.height, shape.width);
    let frames = ArrayView3::from_shape(size, &frames)
        .map_err(|_| Error::Image("the movie has several planes".into()))?;
    // A movie without structure has no jitter to speak of.
    Ok(line_jitter(frames, registration.images.mean.view()).ok())
}

fn percentile(values: &mut [f32], share: f64) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let at = (share * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

/// Norm of the gradient by central differences.
fn crispness(image: ArrayView2<'_, f32>) -> f64 {
    let (height, width) = image.dim();
    let at = |y: usize, x: usize| f64::from(image[[y, x]]);
    let mut sum = 0.0;
    for y in 0..height {
        for x in 0..width {
            let down = (at((y + 1).min(height - 1), x) - at(y.saturating_sub(1), x)) / 2.0;
            let across = (at(y, (x + 1).min(width - 1)) - at(y, x.saturating_sub(1))) / 2.0;
            sum += down * down + across * across;
        }
    }
    sum.sqrt()
}
