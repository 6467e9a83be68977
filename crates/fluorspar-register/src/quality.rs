use fluorspar_movie::{Movie, Workspaces};
use ndarray::{Array3, ArrayView2, ArrayView3};
use rayon::prelude::*;

use crate::{
    Error, LineJitter, Motion, Parameters, PrincipalMotion, Reference, Registrar, Registration,
    Shift, VolumeRegistrar, VolumeRegistration, line_jitter,
};

/// Registered frames that are looked at again.
const CHECKED: usize = 200;
/// The same of volumes, of which each says more.
const CHECKED_VOLUMES: usize = 100;
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
    /// components; `None` for fewer than 40 trusted frames, and for planes
    /// recorded together, which are not looked at.
    pub principal: Option<PrincipalMotion>,
    /// Standard deviation of the displacement of single lines along x beside
    /// their neighbours, pixels, as of a resonant scanner; 0 if it cannot be
    /// told from none, `None` for fewer than 8 trusted frames and for planes
    /// recorded together. See [`line_jitter`].
    pub line_jitter: Option<f32>,
    /// Standard deviation of the error with which a single line's place is
    /// seen, pixels: the less, the smaller a jitter is noticed; `None` where
    /// `line_jitter` is.
    pub line_noise: Option<f32>,
}

/// How well a movie of planes was registered.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeQuality {
    /// Every plane on its own. Where a plane is too dim to be located in a
    /// single volume, what seems left is the noise of looking.
    pub planes: Vec<Quality>,
    /// All planes together, by the shift that they share; the crispness is the
    /// norm of the gradient of all mean images.
    pub together: Quality,
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
        let spaces = Workspaces::new(|| (registrar.scratch(), mean.image().to_owned()));
        let left: Result<Vec<f32>, Error> = checked
            .par_iter()
            .map_init(
                || spaces.lend(),
                |space, &k| {
                    let (scratch, frame) = &mut **space;
                    registered.read(k..k + 1, frame.as_slice_mut().unwrap_or_default())?;
                    let shift = registrar.estimate(frame.view(), scratch);
                    Ok(shift.dy.hypot(shift.dx))
                },
            )
            .collect();
        let crispness = crispness(registration.images.mean.view());
        let summed = Self::sum_up(&shifts_of(motion), &trusted, left?, crispness);
        let jitter = jitter(registered, &checked, registration)?;
        Ok(Self {
            principal: PrincipalMotion::assess(registered, &trusted, parameters)?,
            line_jitter: jitter.as_ref().map(|found| {
                if found.distinguishable {
                    found.deviation
                } else {
                    0.0
                }
            }),
            line_noise: jitter.map(|found| found.noise),
            ..summed
        })
    }

    /// Looks at a movie that [`register_volumes`](crate::register_volumes)
    /// has written: at every plane on its own, and at all together by the
    /// shift that they share, which dim planes do not cloud.
    ///
    /// # Errors
    /// As [`Quality::assess`].
    pub fn assess_volumes(
        registered: &dyn Movie,
        registrar: &VolumeRegistrar,
        registration: &VolumeRegistration,
        parameters: &Parameters,
    ) -> Result<VolumeQuality, Error> {
        let planes = &registration.planes;
        let count = planes.len();
        let (height, width) = planes
            .first()
            .map_or((0, 0), |plane| plane.images.mean.dim());
        let mut means = Array3::zeros((count, height, width));
        for (mut slot, plane) in means.outer_iter_mut().zip(planes) {
            slot.assign(&plane.images.mean);
        }
        let again = registrar.beside(means.view(), parameters)?;
        again.check(registered)?;
        let trusted = |plane: &Registration| -> Vec<usize> {
            let untrusted = &plane.motion.untrusted;
            (0..untrusted.len()).filter(|&k| !untrusted[k]).collect()
        };
        let shared: Vec<usize> = (0..registration.shared.len())
            .filter(|&k| planes.iter().any(|plane| !plane.motion.untrusted[k]))
            .collect();
        let step = shared.len().div_ceil(CHECKED_VOLUMES).max(1);
        let mut left = vec![Vec::new(); count];
        let mut left_shared = Vec::new();
        let mut look = again.look();
        let mut volume = Array3::<f32>::zeros((count, height, width));
        for &k in shared.iter().step_by(step) {
            if let Some(pixels) = volume.as_slice_mut() {
                registered.read(k..k + 1, pixels)?;
            }
            let (together, alone) = again.look_again(volume.view(), &mut look);
            left_shared.push(together.dy.hypot(together.dx));
            for ((left, plane), shift) in left.iter_mut().zip(planes).zip(alone) {
                if !plane.motion.untrusted[k] {
                    left.push(shift.dy.hypot(shift.dx));
                }
            }
        }
        let per_plane: Vec<Self> = planes
            .iter()
            .zip(left)
            .map(|(plane, left)| {
                let crispness = crispness(plane.images.mean.view());
                Self::sum_up(&shifts_of(&plane.motion), &trusted(plane), left, crispness)
            })
            .collect();
        let squares: f64 = per_plane.iter().map(|plane| plane.crispness.powi(2)).sum();
        Ok(VolumeQuality {
            together: Self::sum_up(&registration.shared, &shared, left_shared, squares.sqrt()),
            planes: per_plane,
        })
    }

    /// What shifts and what is left say; nothing of components and lines.
    fn sum_up(shifts: &[Shift], trusted: &[usize], mut left: Vec<f32>, crispness: f64) -> Self {
        let mut steps: Vec<f32> = trusted
            .windows(2)
            .filter(|pair| pair[1] == pair[0] + 1)
            .map(|pair| {
                let (before, after) = (shifts[pair[0]], shifts[pair[1]]);
                (after.dy - before.dy).hypot(after.dx - before.dx)
            })
            .collect();
        let mut correlation: Vec<f32> = shifts.iter().map(|shift| shift.quality).collect();
        let sizes = trusted
            .iter()
            .map(|&k| shifts[k].dy.abs().max(shifts[k].dx.abs()));
        let frames = shifts.len().max(1) as f64;
        Self {
            median_correlation: percentile(&mut correlation, 0.5),
            untrusted_share: (shifts.len() - trusted.len()) as f64 / frames,
            largest_shift: sizes.fold(0.0, f32::max),
            median_step: percentile(&mut steps, 0.5),
            residual_median: percentile(&mut left, 0.5),
            residual_p95: percentile(&mut left, 0.95),
            crispness,
            principal: None,
            line_jitter: None,
            line_noise: None,
        }
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

fn shifts_of(motion: &Motion) -> Vec<Shift> {
    let pairs = motion.dy.iter().zip(&motion.dx).zip(&motion.quality);
    pairs
        .map(|((&dy, &dx), &quality)| Shift { dy, dx, quality })
        .collect()
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
